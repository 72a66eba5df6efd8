"""Where a password comes from: a file, standard input, a question; or it is made here.

As an argument, which the original's tool wants, it is taken with a warning. It is never written to a log.
"""

import secrets as randomness
import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from ptt.errors import ConfigError
from ptt.records.passwords import Verifier, make_argon2id, make_scram

SALT_OCTETS = 16
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # 32 characters that nobody takes for one another
GROUPS, GROUP = 7, 4  # 28 characters are 140 bits, above the 128 that nobody guesses

SEEN_BY_OTHERS = """\
ptt: the password stood among the arguments: every user of this machine could
  read it (ps), and it is in the history of your shell. --password-file takes it
  from a file or standard input (-); without any, one is made
"""


@dataclass(frozen=True, slots=True)
class Given:
    """How the password is given."""

    argument: str = ""
    file: str = ""
    asks: bool = False
    has_none: bool = False
    is_scram: bool = False

    @property
    def is_made(self) -> bool:
        """Whether nobody gives one: then it is made, and shown once."""
        return not (self.argument or self.file or self.asks)


def read_password(given: Given, name: str) -> str:
    """The password, as it is given."""
    if given.argument:
        sys.stderr.write(SEEN_BY_OTHERS)
        return given.argument
    if given.file:
        return _first_line(given.file)
    if given.asks:
        password: str = typer.prompt(f"Password of {name}", hide_input=True, confirmation_prompt=True)
        return password
    groups = ("".join(randomness.choice(ALPHABET) for _ in range(GROUP)) for _ in range(GROUPS))
    return "-".join(groups)


def _first_line(file: str) -> str:
    try:
        text = sys.stdin.readline() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        mend = "a file with the password in its first line"
        raise ConfigError(f"--password-file {file}", str(error), mend) from error
    password = text.split("\n", 1)[0].rstrip("\r")
    if not password:
        raise ConfigError(f"--password-file {file}", "the first line is empty", "write the password there")
    return password


def verifier_of(password: str, given: Given) -> Verifier:
    """What is kept of it."""
    salt = randomness.token_bytes(SALT_OCTETS)
    return make_scram(password, salt) if given.is_scram else make_argon2id(password, salt)
