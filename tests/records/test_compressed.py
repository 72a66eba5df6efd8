"""What is packed comes back whole; what is something else, or too much, does not."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from ptt.records.compressed import compress, decompress


@given(st.binary(max_size=200))
def test_what_was_compressed_comes_back(octets: bytes) -> None:
    assert decompress(compress(octets), len(octets)) == octets


@given(st.binary(max_size=60))
def test_anything_gives_octets_or_nothing(value: bytes) -> None:
    found = decompress(value, 1000)
    assert found is None or len(found) <= 1000


def test_what_is_cut_or_goes_on_is_not_read() -> None:
    value = compress(b"hello")
    assert decompress(value[:-1], 100) is None
    assert decompress(value + b"x", 100) is None


def test_small_values_do_not_become_large_ones() -> None:
    bomb = zlib.compress(bytes(32 * 1024 * 1024), 9)
    assert len(bomb) < 100_000
    assert decompress(bomb, 1024 * 1024) is None
