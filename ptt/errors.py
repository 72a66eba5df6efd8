"""The two exceptions of the project and the value that parsers return for bad input.

Expected outcomes are values; an exception says that somebody on our side made a mistake: the
programmer (``MisuseError``) or the operator (``ConfigError``). A peer's fault is never an exception:
parsers return ``Malformed`` and the caller answers in the peer's own protocol.
"""

from dataclasses import dataclass


class MisuseError(Exception):
    """We called something in a state or with a value that its contract forbids: a bug of ours."""


class ConfigError(Exception):
    """The operator's input is wrong.

    ``where`` names file and line (or the command-line option), ``mend`` is the one thing to do.
    """

    def __init__(self, where: str, what: str, mend: str) -> None:
        super().__init__(f"{where}: {what}\n  {mend}")
        self.where = where
        self.what = what
        self.mend = mend


class UnreachableError(ConfigError):
    """Something that the operator named does not answer, or does not let us in."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """What a parser returns for input that breaks its grammar. ``reason`` is harmless to show."""

    reason: str
