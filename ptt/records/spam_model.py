"""Whether a message is spam, by what others like it were: naive Bayes [F4 F5].

Each token has the share of spam among the messages that had it, drawn to one half where they were few
(Robinson); the telling ones of a message are combined by Fisher's method: the chi-square of seeing such
shares if they were chance, for spam and for ham, and the score is what lies between the two. Evidence for
both, or for none, gives a score near one half: unknown. Training knows no chance and no order. The model's
file is text: a line that names it, then a line for each token, sorted: the token, a blank, its share in
1/10000.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from heapq import nsmallest

from ptt.errors import Malformed
from ptt.records.spam_features import Features, read_features

# Both chosen by cross-validation (tests/vectors/test_spam.py): mail that a person wrote is never above the
# first, nearly no spam is below the second.
SPAM_FROM = 0.90
HAM_BELOW = 0.30
DANGEROUS = 1.0  # the score of a message with a program attached, whatever its words are

SCALE = 10_000
MAX_TELLING = 150  # tokens of one message that are combined; more only make long mail extreme
MIN_DEVIATION = 1_000  # of 1/10000, from one half: what lies nearer tells nothing and is not kept
STRENGTH = 0.45  # how many messages the prior of one half weighs (Robinson's s)
MIN_MESSAGES = 2  # that must have had a token: half of all words are seen once, and never again

MAX_MODEL_OCTETS = 4 * 1024 * 1024  # travels in a boot record, of 16 MB at most
MAX_MODEL_TOKENS = 150_000

_FIRST_LINE = re.compile(rb"ptt-spam-model 1 ([0-9]{1,9}) ([0-9]{1,9})\n")
_LINE = re.compile(r"([^ ]+) ([0-9]{1,4})")
_LOGARITHMS = tuple(math.log(max(share, 0.5) / SCALE) for share in range(SCALE + 1))
_OF_COMPLEMENTS = _LOGARITHMS[::-1]
_RANKS = tuple(-abs(share - SCALE // 2) for share in range(SCALE + 1))


class Decision(StrEnum):
    """The words of X-Spamtacus [F1]."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Score:
    """``probability`` from 0 (ham) to 1 (spam), None where nothing could be said; ``reason`` says why."""

    probability: float | None
    reason: str = ""

    @property
    def decision(self) -> Decision:
        """What the thresholds make of it."""
        match self.probability:
            case float(probability) if probability >= SPAM_FROM:
                return Decision.YES
            case float(probability) if probability < HAM_BELOW:
                return Decision.NO
            case _:
                return Decision.UNKNOWN


@dataclass(frozen=True, slots=True)
class Model:
    """``shares``: of spam, 1 to 9999, by token. ``spam`` and ``ham``: how many messages it was made of."""

    spam: int
    ham: int
    shares: Mapping[str, int] = field(repr=False)

    def encode(self) -> bytes:
        """Write the file; the same model always gives the same octets."""
        lines = [f"ptt-spam-model 1 {self.spam} {self.ham}"]
        lines += [f"{token} {share}" for token, share in sorted(self.shares.items())]
        return "\n".join([*lines, ""]).encode()


def parse_model(data: bytes) -> Model | Malformed:
    """Read a model's file."""
    if len(data) > MAX_MODEL_OCTETS:
        return Malformed(f"a model of more than {MAX_MODEL_OCTETS} octets")
    first = _FIRST_LINE.match(data)
    if first is None:
        return Malformed("not a model of this version")
    try:
        lines = data[first.end() :].decode().split("\n")
    except UnicodeDecodeError:
        return Malformed("a token that is not UTF-8")
    if lines.pop():
        return Malformed("the last line has no end")
    shares: dict[str, int] = {}
    for number, line in enumerate(lines, 2):
        match = _LINE.fullmatch(line)
        if match is None or match[1] in shares or not match[1].isprintable() or not int(match[2]):
            return Malformed(f"line {number} is not a token and its share")
        shares[match[1]] = int(match[2])
    return Model(int(first[1]), int(first[2]), shares)


def train(spam: Iterable[bytes], ham: Iterable[bytes]) -> Model:
    """Make a model of messages; those that cannot be read are left out."""
    return train_features(_readable(spam), _readable(ham))


def _readable(messages: Iterable[bytes]) -> Iterable[Features]:
    read = (read_features(message) for message in messages)
    return (features for features in read if isinstance(features, Features))


def train_features(spam: Iterable[Features], ham: Iterable[Features]) -> Model:
    """Make a model of what messages show. Without any spam, or any ham, it knows nothing."""
    (in_spam, spams), (in_ham, hams) = _count(spam), _count(ham)
    if not spams or not hams:
        return Model(spams, hams, {})
    shares: dict[str, tuple[int, int]] = {}
    for token in in_spam.keys() | in_ham.keys():
        seen = in_spam[token] + in_ham[token]
        if seen >= MIN_MESSAGES and _may_be_written(token):
            share = _share(in_spam[token] / spams, in_ham[token] / hams, seen)
            if abs(share - SCALE // 2) >= MIN_DEVIATION:
                shares[token] = (-seen, share)
    kept = nsmallest(MAX_MODEL_TOKENS, shares.items(), key=lambda item: (item[1][0], item[0]))
    return Model(spams, hams, {token: share for token, (_, share) in sorted(kept)})


def _count(messages: Iterable[Features]) -> tuple[Counter[str], int]:
    counts: Counter[str] = Counter()
    number = 0
    for number, features in enumerate(messages, 1):  # noqa: B007 - how many there were
        counts.update(features.tokens)
    return counts, number


def _may_be_written(token: str) -> bool:
    return token != "" and token.isprintable() and " " not in token


def _share(in_spam: float, in_ham: float, seen: int) -> int:
    """Robinson's f(w), in 1/10000."""
    share = in_spam / (in_spam + in_ham)
    share = (STRENGTH / 2 + seen * share) / (STRENGTH + seen)
    return min(max(round(share * SCALE), 1), SCALE - 1)


def score(model: Model | None, message: bytes, rest: Sequence[bytes] = ()) -> Score:
    """Judge a message; in ``rest``, what comes behind, only names of files are looked at."""
    if model is None:
        return Score(None, "no model")
    features = read_features(message, rest)
    return (
        Score(None, features.reason) if isinstance(features, Malformed) else score_features(model, features)
    )


def score_features(model: Model, features: Features) -> Score:
    """Judge by what a message shows."""
    if not model.shares:
        return Score(None, "the model knows nothing")
    if features.is_dangerous:
        return Score(DANGEROUS, "a program is attached")
    telling = list(filter(None, map(model.shares.get, features.tokens)))  # no share is 0
    if len(telling) > MAX_TELLING:
        telling.sort()  # that the order of a set decides nothing where two are as telling
        telling.sort(key=_RANKS.__getitem__)
        del telling[MAX_TELLING:]
    return Score(_combined(telling))


def _combined(shares: Sequence[int]) -> float:
    """Fisher's method, for both sides (Robinson 2003)."""
    freedom = len(shares)
    for_ham = _chi_square(-sum(map(_LOGARITHMS.__getitem__, shares)), freedom)
    for_spam = _chi_square(-sum(map(_OF_COMPLEMENTS.__getitem__, shares)), freedom)
    return (1.0 + for_ham - for_spam) / 2


def _chi_square(half: float, pairs: int) -> float:
    """How probable a chi-square of ``2 * half`` or more is, with ``2 * pairs`` degrees of freedom."""
    term = total = math.exp(-half)
    for pair in range(1, pairs):
        term *= half / pair
        total += term
    return min(total, 1.0) if pairs else 1.0
