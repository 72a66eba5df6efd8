"""Keys made again from seeds, bit for bit as the original makes them.

The original stores private keys as seeds: seed -> Fortuna (AES-256, SHA-256, without entropy pools) -> RSA.
Who moves from there keeps the keys by these functions [N12]; new keys are made in the ordinary way. Which
octets of a setting are the seed is decided in ``keys``. The arithmetic follows the original; any correct
primality test gives the same key, since a prime is defined as the next one above a drawn number. RSA-2048
takes about 0.2 s, RSA-4096 3 s and at times 9: it is done once, when a configuration is read, never in a
unit's service.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers, RSAPublicNumbers
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR

from ptt.errors import MisuseError

BLOCK_OCTETS = 16  # AES
KEY_OCTETS = 32  # AES-256
MAX_REQUEST_OCTETS = 65536  # Fortuna changes its key at least once per 2^16 octets of output
PUBLIC_EXPONENT = 65537
TOP_BITS_SET = 0xC0  # both top bits of a prime, so that a product of two has exactly the bits asked for
MIN_RSA_BITS = 1024  # below that `cryptography` takes no key; the original goes down to 89
MAX_RSA_BITS = 8192  # the search for primes grows with the fourth power of this: 8192 is a minute

SIEVE_LIMIT = 300_000  # small factors removed before the dear test; more than this gains nothing measurable
SIEVE_SPAN = 2048  # numbers sieved at a time; the mean gap of 2048-bit primes is 1420
MILLER_RABIN_BASES = (
    2,
    3,
    5,
    7,
    11,
    13,
    17,
    19,
    23,
    29,
    31,
    37,
)  # the numbers are drawn, not chosen by an enemy


@dataclass(slots=True)
class Fortuna:
    """The generator: a key and a 128-bit counter. Two requests of 16 octets are not one of 32."""

    key: bytes
    counter: int

    @staticmethod
    def seeded(seed: bytes) -> "Fortuna":
        """A generator seeded once, with nothing but ``seed``."""
        generator = Fortuna(bytes(KEY_OCTETS), 0)
        generator.reseed(seed)
        return generator

    def reseed(self, data: bytes) -> None:
        """Mix ``data`` into the key: SHA-256 twice."""
        self.key = hashlib.sha256(hashlib.sha256(self.key + data).digest()).digest()
        self.counter += 1

    def generate(self, count: int) -> bytes:
        """``count`` octets; above 65,536 joined from several requests, in order."""
        pieces = []
        while count > 0:
            size = min(count, MAX_REQUEST_OCTETS)
            pieces.append(self._request(size))
            count -= size
        return b"".join(pieces)

    def _request(self, count: int) -> bytes:
        blocks = -(-count // BLOCK_OCTETS) + KEY_OCTETS // BLOCK_OCTETS
        # The counter is big-endian here (Fortuna as published: little-endian), which makes this CTR mode.
        encryptor = Cipher(AES256(self.key), CTR(self.counter.to_bytes(BLOCK_OCTETS, "big"))).encryptor()
        stream = encryptor.update(bytes(blocks * BLOCK_OCTETS))
        self.key = stream[-KEY_OCTETS:]
        self.counter += blocks
        return stream[:count]


def rsa_from_seed(seed: bytes, bits: int) -> RSAPrivateKey:
    """The RSA key of ``bits`` bits, 1024 to 8192, that the original makes from ``seed``."""
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise MisuseError(f"an RSA key of {bits} bits")
    p, q = rsa_primes(Fortuna.seeded(seed), bits)
    d = pow(PUBLIC_EXPONENT, -1, math.lcm(p - 1, q - 1))
    public = RSAPublicNumbers(PUBLIC_EXPONENT, p * q)
    numbers = RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public)
    return numbers.private_key()


def ed25519_from_seed(seed: bytes) -> Ed25519PrivateKey:
    """The Ed25519 key that the original's key tool makes from the text of a seed."""
    return Ed25519PrivateKey.from_private_bytes(Fortuna.seeded(seed).generate(KEY_OCTETS))


def rsa_primes(generator: Fortuna, bits: int) -> tuple[int, int]:
    """The two primes, the larger first; a pair that does not suit is drawn anew, the generator going on."""
    first_bits = bits // 2
    while True:
        # The original draws the second of the pair first; it matters for odd sizes only.
        second = draw_prime(generator, bits - first_bits)
        first = draw_prime(generator, first_bits)
        if first != second and _suits(first) and _suits(second):
            return max(first, second), min(first, second)


def draw_prime(generator: Fortuna, bits: int) -> int:
    """A prime of exactly ``bits`` bits with its two top bits set."""
    while True:
        prime = next_prime(_draw_number(generator, bits))
        if prime < 1 << bits:
            return prime


def next_prime(number: int) -> int:
    """The smallest prime above ``number``, which itself never counts. For numbers of 64 bits and more."""
    start = number + 1 | 1
    while True:
        for offset in _survivors(start):
            if is_prime(start + offset):
                return start + offset
        start += SIEVE_SPAN


def is_prime(number: int) -> bool:
    """Miller-Rabin to fixed bases, for odd numbers above 37 that nobody has built to deceive it."""
    twos = ((number - 1) & -(number - 1)).bit_length() - 1
    odd = (number - 1) >> twos
    return all(_passes(number, base, odd, twos) for base in MILLER_RABIN_BASES)


def _passes(number: int, base: int, odd: int, twos: int) -> bool:
    power = pow(base, odd, number)
    if power in {1, number - 1}:
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False


def _suits(prime: int) -> bool:
    return math.gcd(PUBLIC_EXPONENT, prime - 1) == 1


def _draw_number(generator: Fortuna, bits: int) -> int:
    octets = -(-bits // 8)
    drawn = bytearray(generator.generate(octets))
    drawn[0] |= TOP_BITS_SET
    return int.from_bytes(drawn, "big") >> 8 * octets - bits


def _survivors(start: int) -> list[int]:
    """Even offsets below ``SIEVE_SPAN`` at which the odd ``start`` plus offset has no small factor."""
    half_span = SIEVE_SPAN // 2
    is_open = bytearray(b"\1") * half_span
    for prime in _small_primes():
        # start + 2 * index = 0 modulo prime; (prime + 1) / 2 is the inverse of 2.
        first = -start * ((prime + 1) // 2) % prime
        if first < half_span:
            is_open[first::prime] = bytes(len(range(first, half_span, prime)))
    return [2 * index for index in range(half_span) if is_open[index]]


@cache
def _small_primes() -> tuple[int, ...]:
    """Odd primes below ``SIEVE_LIMIT``."""
    is_open = bytearray(b"\1") * SIEVE_LIMIT
    for number in range(3, math.isqrt(SIEVE_LIMIT) + 1, 2):
        if is_open[number]:
            is_open[number * number :: number] = bytes(len(range(number * number, SIEVE_LIMIT, number)))
    return tuple(number for number in range(3, SIEVE_LIMIT, 2) if is_open[number])
