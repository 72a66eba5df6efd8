"""Packs: those that git makes, and those that somebody made to do harm."""

import hashlib
import random
import subprocess
import zlib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ptt.net.git import pack as packs
from ptt.net.git.failures import GitTroubleError
from ptt.net.git.pack import GitObject, object_id, read_pack

BLOB, OFFSET_DELTA, REFERENCE_DELTA = 3, 6, 7


def size_of(size: int) -> bytes:
    """A size as deltas write it."""
    octets = bytearray()
    while True:
        size, low = size >> 7, size & 0x7F
        octets.append(low | (0x80 if size else 0))
        if not size:
            return bytes(octets)


def entry(kind: int, content: bytes, base: bytes = b"", size: int | None = None) -> bytes:
    size = len(content) if size is None else size
    octets = bytearray([kind << 4 | size & 15])
    size >>= 4
    while size:
        octets[-1] |= 0x80
        octets.append(size & 0x7F)
        size >>= 7
    return bytes(octets) + base + zlib.compress(content)


def pack(*entries: bytes, count: int | None = None, version: int = 2) -> bytes:
    number = len(entries) if count is None else count
    body = b"PACK" + version.to_bytes(4, "big") + number.to_bytes(4, "big") + b"".join(entries)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def delta(base: int, result: int, operations: bytes) -> bytes:
    return size_of(base) + size_of(result) + operations


def test_what_git_packs(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path)], check=True)
    source = random.Random(1)
    lines = [source.randbytes(30).hex() for _ in range(400)]
    contents = []
    for _ in range(60):
        lines[source.randrange(len(lines))] = source.randbytes(30).hex()
        contents.append("\n".join(lines).encode())
    git = ["git", "-C", str(tmp_path)]
    names = [
        subprocess.run(
            [*git, "hash-object", "-w", "--stdin"], input=each, capture_output=True, check=True
        ).stdout.strip()
        for each in contents
    ]
    for options in (["--delta-base-offset"], []):
        made = subprocess.run(
            [*git, "pack-objects", "--stdout", "-q", "--depth=50", *options],
            input=b"\n".join(names) + b"\n",
            capture_output=True,
            check=True,
        ).stdout
        assert len(made) < sum(map(len, contents)) / 10
        assert read_pack(made) == {
            name: GitObject(b"blob", content) for name, content in zip(names, contents, strict=True)
        }


def test_a_delta_may_come_before_its_base() -> None:
    base = b"hello"
    made = delta(5, 7, bytes([0x90, 5, 2]) + b"!!")
    reference = bytes.fromhex(object_id(b"blob", base).decode())
    objects = read_pack(pack(entry(REFERENCE_DELTA, made, reference), entry(BLOB, base)))
    assert {each.content for each in objects.values()} == {b"hello", b"hello!!"}


def test_the_order_of_deltas_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each object is made once, though each stands before its base."""
    made = 0
    make = packs._PackReader._make

    def counted(self: packs._PackReader, each: packs._Entry) -> GitObject:
        nonlocal made
        made += 1
        return make(self, each)

    monkeypatch.setattr(packs._PackReader, "_make", counted)
    contents = [b"%d" % number for number in range(2000)]
    entries = [entry(BLOB, contents[0])]
    for base, content in pairwise(contents):
        operations = bytes([len(content)]) + content
        reference = bytes.fromhex(object_id(b"blob", base).decode())
        entries.append(entry(REFERENCE_DELTA, delta(len(base), len(content), operations), reference))
    objects = read_pack(pack(*reversed(entries)))
    assert {each.content for each in objects.values()} == set(contents)
    assert made == len(contents)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (b"", "no pack"),
        (b"HTTP/1.1 200 OK and so on, which is no pack", "no pack"),
        (pack(entry(BLOB, b"x"), version=3), "version 3"),
        (pack(entry(BLOB, b"x"), count=2), "cannot be unpacked"),
        (pack(entry(BLOB, b"x"))[:-1] + b"\0", "checksum"),
        (pack(entry(5, b"x")), "kind 5"),
        (pack(entry(BLOB, b"x" * 100, size=5)), "larger than announced"),
        (pack(entry(BLOB, b"x", size=5)), "smaller than announced"),
        (pack(entry(REFERENCE_DELTA, b"\1\1", b"\0" * 20)), "no base"),
        (pack(entry(BLOB, b"x"), entry(OFFSET_DELTA, b"", b"\x0a")), "ends too early"),
        (pack(entry(BLOB, b"x"), entry(OFFSET_DELTA, delta(2, 1, b"\1y"), b"\x0a")), "something else"),
        (pack(entry(BLOB, b"x"), entry(OFFSET_DELTA, delta(1, 1, b"\0"), b"\x0a")), "later version"),
        (pack(entry(BLOB, b"x"), entry(OFFSET_DELTA, delta(1, 1, b"\2yy"), b"\x0a")), "more than announced"),
        (pack(entry(BLOB, b"x"), entry(OFFSET_DELTA, delta(1, 9, b"\2yy"), b"\x0a")), "less than announced"),
        (pack(entry(BLOB, b"x"), entry(OFFSET_DELTA, delta(1, 9, b"\x91"), b"\x0a")), "ends too early"),
        (pack(b"\xbf" + b"\xff" * 100_000, count=1), "without end"),
        (pack(entry(BLOB, b"x"), entry(OFFSET_DELTA, b"", b"\xff" * 100_000)), "without end"),
        (pack(entry(BLOB, b"x"), entry(OFFSET_DELTA, b"\xff" * 10_000, b"\x0a")), "without end"),
        (pack(count=1_000_000), "1000000 objects"),
        (pack(entry(BLOB, b"x", size=1 << 40)), "more than 32 MB"),
        (pack(entry(BLOB, b"x"), entry(OFFSET_DELTA, delta(1, 1 << 40, b""), b"\x0a")), "more than 32 MB"),
    ],
)
def test_what_is_wrong_is_said(made: bytes, words: str) -> None:
    with pytest.raises(GitTroubleError, match=words):
        read_pack(made)


def test_small_packs_do_not_become_large_objects() -> None:
    bomb = pack(*(entry(BLOB, bytes(8 * 1024 * 1024)) for _ in range(5)))
    assert len(bomb) < 100_000
    with pytest.raises(GitTroubleError, match="too large"):
        read_pack(bomb)


@given(st.data())
def test_anything_gives_objects_or_trouble(data: st.DataObject) -> None:
    base = data.draw(st.binary(max_size=40))
    made = bytearray(
        pack(
            entry(BLOB, base),
            entry(OFFSET_DELTA, data.draw(st.binary(max_size=20)), b"\x0a"),
            count=data.draw(st.integers(0, 3)),
        )
    )
    for _ in range(data.draw(st.integers(0, 3))):
        made[data.draw(st.integers(0, len(made) - 1))] = data.draw(st.integers(0, 255))
    made[-20:] = hashlib.sha1(made[:-20], usedforsecurity=False).digest()
    try:
        objects = read_pack(bytes(made))
    except GitTroubleError:
        return
    for name, each in objects.items():
        assert object_id(each.kind, each.content) == name
    assert sum(len(each.content) for each in objects.values()) <= packs.MAX_OBJECTS_OCTETS
