"""The keys that the original makes from published seeds [N12], read from section 8 of ``specs/seed-keys.md``.

Without the file all is skipped. What is read of a vector: bits, seed and the values published for its key.
"""

import base64
import hashlib
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from ptt.records.keys import SSH, parse_key, public_line, public_spki
from ptt.records.seeds import Fortuna, ed25519_from_seed, rsa_from_seed

SHARED = Path(__file__).resolve().parents[2].parent / "shared"
SPECIFICATION = (
    Path(os.environ.get("PTT_CONFORMANCE", SHARED / "conformance")).parent / "specs" / "seed-keys.md"
)

Report = Callable[[str, int, Mapping[str, str]], None]


@dataclass(frozen=True, slots=True)
class Vector:
    """One vector; a value that it does not give is None."""

    name: str
    bits: int
    seed: bytes
    modulus_sha256: str | None
    spki_sha256: str | None
    spki: str | None
    ssh_line: str | None


@cache
def section() -> str:
    if not SPECIFICATION.is_file():
        pytest.skip(f"no vectors at {SPECIFICATION} (set PTT_CONFORMANCE)")
    text = SPECIFICATION.read_text()
    return text[text.index("\n## 8.") : text.index("\n## 9.")]


def found(pattern: str, text: str) -> str | None:
    match = re.search(pattern, text)
    return match and match.group(1)


def read_vector(block: str) -> Vector | None:
    """Read a block that begins with ``**V1``; None for one that is not of RSA."""
    bits = found(r"RSA-\**(\d+)", block)
    seed = re.search(r"seed bytes = (?s:(.*?))`([A-Za-z0-9+/=]+)`", block)
    if bits is None or seed is None:
        return None
    is_text = "ASCII text" in seed.group(1)
    return Vector(
        name=block[2 : block.index(" ")].strip("*"),
        bits=int(bits),
        seed=seed.group(2).encode() if is_text else base64.b64decode(seed.group(2), validate=True),
        modulus_sha256=found(r"sha256\(n\) ([0-9a-f]{64})", block),
        spki_sha256=found(r"sha256\(SPKI DER\) ([0-9a-f]{64})", block),
        spki=found(r"SPKI[^:\n]*: `([A-Za-z0-9+/=]+)`", block),
        ssh_line=found(r"`(ssh-rsa [A-Za-z0-9+/=]+)`", block),
    )


@cache
def vectors() -> tuple[Vector, ...]:
    blocks = re.split(r"\n(?=\*\*V\d+)", section())[1:]
    return tuple(vector for vector in map(read_vector, blocks) if vector is not None)


@cache
def key_of(vector: Vector) -> tuple[RSAPrivateKey, float]:
    """The key and the seconds that it took: some take ten, so each is made once."""
    start = time.perf_counter()
    return rsa_from_seed(vector.seed, vector.bits), time.perf_counter() - start


def fault(vector: Vector) -> str | None:
    key, _ = key_of(vector)
    modulus = key.public_key().public_numbers().n.to_bytes(vector.bits // 8, "big")
    spki = public_spki(key)
    made = {
        "modulus": (hashlib.sha256(modulus).hexdigest(), vector.modulus_sha256),
        "digest of the SPKI": (hashlib.sha256(spki).hexdigest(), vector.spki_sha256),
        "SPKI": (base64.b64encode(spki).decode(), vector.spki),
        "SSH line": (public_line(key, ""), vector.ssh_line),
    }
    if all(published is None for _, published in made.values()):
        return "nothing to compare with was read"
    wrong = [what for what, (mine, published) in made.items() if published not in {None, mine}]
    return f"another {', '.join(wrong)}" if wrong else None


def test_rsa(report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    failures = {vector.name: wrong for vector in vectors() if (wrong := fault(vector)) is not None}
    with capsys.disabled():
        for vector in vectors():
            print(f"\n  {vector.name}: RSA-{vector.bits} in {key_of(vector)[1]:.2f} s", end="")
    report("seed-keys/RSA", len(vectors()), failures)


def test_private_halves(report: Report) -> None:
    text = section()[section().index("sha256 of d ") :]
    exponents, primes = text.split("sha256 of p ")
    by_name = {vector.name: vector for vector in vectors()}
    failures = {}
    ran = 0
    for what, part in (("d", exponents), ("p", primes)):
        for name, digest in re.findall(r"(V\d+) ([0-9a-f]{64})", part):
            vector = by_name[name]
            numbers = key_of(vector)[0].private_numbers()
            number, octets = (numbers.d, vector.bits // 8) if what == "d" else (numbers.p, vector.bits // 16)
            ran += 1
            if hashlib.sha256(number.to_bytes(octets, "big")).hexdigest() != digest:
                failures[f"{name} {what}"] = "another number"
    report("seed-keys/private halves", ran, failures)


def test_intermediate_values_of_the_generator(report: Report) -> None:
    """V1's states, in the order of the text: key, counter and answers of two requests of 256 octets."""
    text = section()
    states = re.findall(r"K (?:after seeding|=) ([0-9a-f]{64}), C = (\d+)", text)
    answers = re.findall(
        r"first 16 ([0-9a-f]{32}), last 16 ([0-9a-f]{32}),\s+SHA-256 [^0-9]*(?:256 bytes )?([0-9a-f]{64})",
        text,
    )
    generator = Fortuna.seeded(next(vector for vector in vectors() if vector.name == "V1").seed)
    seen = [(generator.key.hex(), str(generator.counter))]
    failures = {}
    for index, (first, last, digest) in enumerate(answers):
        answer = generator.generate(256)
        seen.append((generator.key.hex(), str(generator.counter)))
        if (answer[:16].hex(), answer[-16:].hex(), hashlib.sha256(answer).hexdigest()) != (
            first,
            last,
            digest,
        ):
            failures[f"request {index + 1}"] = answer.hex()
    if seen != states:
        failures["states"] = f"{seen} for {states}"
    report("seed-keys/generator", len(answers) + len(states), failures)


def test_ed25519(report: Report) -> None:
    """V9: (a) made from the text of V1's seed, (b) given as it is in a setting."""
    text = section()[section().index("**V9") :]
    published = re.findall(r"`(ssh-ed25519 [A-Za-z0-9+/=]+)`", text)
    from_seed = ed25519_from_seed(next(vector for vector in vectors() if vector.name == "V1").seed)
    setting = found(r"`(ed25519:[A-Za-z0-9+/=]+)`", text)
    assert setting is not None
    from_setting = parse_key(setting, SSH)
    made = [public_line(key, "") for key in (from_seed, from_setting)]  # type: ignore[arg-type]
    failures = {
        name: "another key"
        for name, mine, theirs in zip("ab", made, published, strict=True)
        if mine != theirs
    }
    private = found(r"private key base64 `([A-Za-z0-9+/=]+)`", text)
    if base64.b64encode(from_seed.private_bytes_raw()).decode() != private:
        failures["private key"] = "another one"
    report("seed-keys/Ed25519", len(made) + 1, failures)


def test_other_seed_bytes_give_other_primes() -> None:
    """The seed of V1 decoded, or with a line end, begins elsewhere: no draw is the same, so no prime is."""
    seed = next(vector for vector in vectors() if vector.name == "V1").seed
    answer = Fortuna.seeded(seed).generate(256)
    for other in (base64.b64decode(seed), seed + b"\n"):
        assert Fortuna.seeded(other).generate(256)[:250] != answer[:250]
    assert Fortuna.seeded(seed).generate(128)[:120] == answer[:120]  # but 2048 bits are half of the same draw
