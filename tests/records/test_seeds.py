"""The generator, the primes and the retry path, on quick sizes; published keys are in ``tests/vectors``."""

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

from ptt.errors import MisuseError
from ptt.records.seeds import (
    SIEVE_SPAN,
    Fortuna,
    draw_prime,
    ed25519_from_seed,
    is_prime,
    next_prime,
    rsa_from_seed,
    rsa_primes,
)


def encrypted_counter(key: bytes, counter: int) -> bytes:
    block = Cipher(AES256(key), ECB())  # noqa: S305 - one block by itself
    return block.encryptor().update(counter.to_bytes(16, "big"))


def test_a_seed_is_hashed_twice_behind_a_key_of_zeros() -> None:
    generator = Fortuna.seeded(b"seed")
    assert generator.key == hashlib.sha256(hashlib.sha256(bytes(32) + b"seed").digest()).digest()
    assert generator.counter == 1


def test_an_answer_is_the_start_of_the_counter_blocks_and_the_next_key_their_end() -> None:
    generator = Fortuna.seeded(b"seed")
    key = generator.key
    answer = generator.generate(20)
    blocks = [encrypted_counter(key, 1 + index) for index in range(4)]
    assert answer == b"".join(blocks)[:20]
    assert generator.key == blocks[2] + blocks[3]
    assert generator.counter == 5


def test_nothing_asked_changes_nothing() -> None:
    generator = Fortuna.seeded(b"seed")
    before = (generator.key, generator.counter)
    assert generator.generate(0) == b""
    assert (generator.key, generator.counter) == before


def test_two_requests_are_not_one() -> None:
    assert Fortuna.seeded(b"s").generate(32) != b"".join(
        Fortuna.generate(generator, 16) for generator in [Fortuna.seeded(b"s")] * 2
    )


def test_long_requests_are_pieces_in_order() -> None:
    whole, pieces = Fortuna.seeded(b"s"), Fortuna.seeded(b"s")
    assert whole.generate(65536 + 5) == pieces.generate(65536) + pieces.generate(5)


@pytest.mark.parametrize(
    ("number", "prime"),
    [
        (2**64 - 60, 2**64 - 59),
        (2**64 - 59, 2**64 + 13),  # a prime itself does not count
        (2**127 - 2, 2**127 - 1),
        (2**255 - 31, 2**255 - 19),
    ],
)
def test_next_prime(number: int, prime: int) -> None:
    assert next_prime(number) == prime


def test_a_gap_wider_than_one_sieve() -> None:
    number = int(
        "da11494f0a453e8c6cf3eeea95a8303b940a3aebcbd5da318293d779e1f86d03"
        "9da7fdf2675bb4b3138fcc237cb10028e0463f9f83a81a4e6176a3cac53482ec",
        16,
    )
    assert SIEVE_SPAN < 2293
    assert next_prime(number) == number + 2293


@pytest.mark.parametrize("composite", [(2**61 - 1) * (2**89 - 1), 2047 * 3, 41 * 43 * 2**2 + 3 * 3])
def test_composites(composite: int) -> None:
    assert not is_prime(composite)


@pytest.mark.parametrize("prime", [41, 97, 193, 12289, 2**61 - 1, 2**89 - 1])
def test_primes(prime: int) -> None:
    assert is_prime(prime)


class Drawn(Fortuna):
    """A generator whose answers were written down before."""

    __slots__ = ("answers",)

    def __init__(self, *answers: bytes) -> None:
        super().__init__(bytes(32), 0)
        self.answers = list(answers)

    def generate(self, count: int) -> bytes:
        answer = self.answers.pop(0)
        assert len(answer) == count
        return answer


def test_a_prime_above_the_size_is_drawn_again() -> None:
    assert draw_prime(Drawn(b"\xff" * 8, b"\x00" * 8), 64) == next_prime(0xC0 << 56)


def test_equal_primes_are_drawn_again() -> None:
    one, other = bytes(8), b"\x01" + bytes(7)
    assert rsa_primes(Drawn(one, one, one, other), 128) == (next_prime(0xC1 << 56), next_prime(0xC0 << 56))


def test_odd_sizes_draw_the_longer_prime_first() -> None:
    larger, smaller = rsa_primes(Drawn(bytes(9), bytes(8)), 129)
    assert (larger.bit_length(), smaller.bit_length()) == (65, 64)


@pytest.mark.parametrize("bits", [1023, 8193])
def test_sizes_out_of_range_are_our_mistake(bits: int) -> None:
    with pytest.raises(MisuseError):
        rsa_from_seed(b"seed", bits)


def test_ed25519_is_one_request_of_32_octets() -> None:
    assert ed25519_from_seed(b"seed").private_bytes_raw() == Fortuna.seeded(b"seed").generate(32)
