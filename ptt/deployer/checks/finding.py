"""What a check comes to: one line for people, with the one thing to do where something is wrong."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """``WAIT``: right, but not everywhere yet, or not to be told now. ``TODO``: not looked at yet."""

    OK = "ok"
    WAIT = "WAIT"
    FAIL = "FAIL"
    WARN = "warn"
    TODO = "todo"


class Theme(StrEnum):
    """In the order in which they block each other."""

    CONFIGURATION = "configuration"
    REPOSITORIES = "repositories"
    ISOLATION = "isolation"
    PORTS = "ports"
    OUTWARD = "outward"
    DELEGATION = "delegation"
    REVERSE = "reverse"
    MAIL = "mail"
    RELAY = "relay"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Finding:
    """``what`` is a word or two; ``sentence``: what was asked of whom, what came back, what was expected."""

    level: Level
    what: str
    sentence: str
    mend: str = ""


def ok(what: str, sentence: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, what, sentence)


def fail(what: str, sentence: str, mend: str) -> Finding:
    """Mail suffers until this is mended."""
    return Finding(Level.FAIL, what, sentence, mend)


def warn(what: str, sentence: str, mend: str = "") -> Finding:
    """It works; it could be better."""
    return Finding(Level.WARN, what, sentence, mend)


def wait(what: str, sentence: str, mend: str = "") -> Finding:
    """Time mends it, or what stands above must be mended first."""
    return Finding(Level.WAIT, what, sentence, mend)
