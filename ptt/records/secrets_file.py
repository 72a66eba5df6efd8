"""The one file that holds an operator's secrets: TOML, a table for each kind, a text for each name [N12].

``[ssh] relay = "ed25519:…"``. The forms of the texts are those of ``keys`` and ``tsig_key``;
``ptt.toml`` holds none of them. ``ptt key`` and ``ptt init`` write it whole, so notes of its owner do not
stay. Reading checks the form of every text without making a key of it (an RSA seed takes seconds), tells all
mistakes at once, and shows nothing of a secret. Limits: 1 MiB, 64 KiB a text.
"""

import base64
import binascii
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ptt.errors import Malformed, MisuseError
from ptt.records.faults import Fault
from ptt.records.keys import ACME_ACCOUNT, CERTIFICATE, DKIM, SSH, KeyUse, check_key
from ptt.records.tsig_key import parse_tsig_key

MAX_FILE_CHARACTERS = 1024 * 1024  # some hundred RSA keys
MAX_TEXT_CHARACTERS = 65536
MIN_DNSSEC_SEED_OCTETS = 16  # as for the seeds of keys: what is made of it is as hard to guess

HEAD = """\
# The secrets of this PTT service. Whoever reads this file has them all: keep it readable by its owner alone.
# `ptt key` writes it whole; notes of your own do not stay.
"""


class SecretKind(StrEnum):
    """The tables of the file, and what the names in each are."""

    SSH = "ssh"  # name: the unit that shows the key to Git hosts
    DKIM = "dkim"  # name: the selector, or SELECTOR._domainkey.DOMAIN for a key of that domain only
    TSIG = "tsig"  # name: the key's own; text: NAME:ALGORITHM:BASE64
    ACCOUNT = "account"  # name: "acme"
    DNSSEC = "dnssec"  # name: the zone, or "all"; text: base64 of a seed
    CERTIFICATE = "certificate"  # name: the host, or "all"; text: base64 of a seed, or a key
    OTHER = "other"  # name: a kind of ptt.manifest.Secret; text: as its unit reads it


_KEY_USES: Mapping[SecretKind, KeyUse] = {
    SecretKind.SSH: SSH,
    SecretKind.DKIM: DKIM,
    SecretKind.ACCOUNT: ACME_ACCOUNT,
    SecretKind.CERTIFICATE: CERTIFICATE,
}


@dataclass(frozen=True, slots=True)
class Secrets:
    """All of the file. Secrets do not show in ``repr``."""

    entries: Mapping[SecretKind, Mapping[str, str]] = field(default_factory=dict, repr=False)

    def of(self, kind: SecretKind) -> Mapping[str, str]:
        """The texts of a kind by name."""
        return self.entries.get(kind, {})

    def get(self, kind: SecretKind, name: str) -> str | None:
        """One text."""
        return self.of(kind).get(name)

    def holding(self, kind: SecretKind, name: str, text: str) -> "Secrets":
        """The same with one text more, or in place of the one of that name."""
        if (fault := check_secret(kind, text)) is not None:
            raise MisuseError(f"{kind} {name}: {fault.reason}")
        return Secrets({**self.entries, kind: {**self.of(kind), name: text}})

    def without(self, kind: SecretKind, name: str) -> "Secrets":
        """The same without that text."""
        rest = {other: text for other, text in self.of(kind).items() if other != name}
        return Secrets({**self.entries, kind: rest})


def check_secret(kind: SecretKind, text: str) -> Malformed | None:
    """Whether a text has a form of its kind; the reason shows nothing of it."""
    if not text or len(text) > MAX_TEXT_CHARACTERS:
        return Malformed(f"a text of {len(text)} characters, not 1 to {MAX_TEXT_CHARACTERS}")
    if any("\ud800" <= char <= "\udfff" for char in text):
        return Malformed("a text that is not UTF-8")
    if (use := _KEY_USES.get(kind)) is not None:
        return check_key(text, use)
    if kind is SecretKind.TSIG:
        key = parse_tsig_key(text)
        return key if isinstance(key, Malformed) else None
    return _check_seed(text) if kind is SecretKind.DNSSEC else None


def parse_secrets(text: str) -> Secrets | tuple[Fault, ...]:
    """Read the file; all of its mistakes at once, in the order of their lines."""
    if len(text) > MAX_FILE_CHARACTERS:
        return (Fault(0, f"longer than {MAX_FILE_CHARACTERS} characters", "is it the file of secrets?"),)
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        return (_syntax_fault(text, str(error)),)
    except RecursionError:
        return (Fault(0, "too deep", "the file has tables and texts, nothing below"),)
    lines = text.split("\n")
    entries: dict[SecretKind, dict[str, str]] = {}
    faults: list[Fault] = []
    for name, table in tables.items():
        if name not in set(SecretKind) or not isinstance(table, dict):
            known = ", ".join(f"[{kind}]" for kind in SecretKind)
            faults.append(
                Fault(_line_of(lines, name), f"{name} is no table of secrets", f"the tables are {known}")
            )
            continue
        kind = SecretKind(name)
        entries[kind] = {}
        for key, value in table.items():
            fault = _check_entry(kind, key, value)
            if fault is None:
                entries[kind][key] = value
            else:
                faults.append(Fault(_line_of(lines, name, key), *fault))
    return tuple(sorted(faults)) if faults else Secrets(entries)


def write_secrets(secrets: Secrets) -> str:
    """The file's text, the same for the same secrets."""
    blocks = [HEAD]
    for kind in SecretKind:
        if texts := secrets.of(kind):
            lines = [f"{_key(name)} = {_value(texts[name])}\n" for name in sorted(texts)]
            blocks.append("".join((f"[{kind}]\n", *lines)))
    return "\n".join(blocks)


def _check_entry(kind: SecretKind, name: str, value: object) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return f"{kind}.{name} is no text", 'write it in quotes: NAME = "TEXT"'
    fault = check_secret(kind, value)
    if fault is not None:
        return f"{kind}.{name}: {fault.reason}", f"make another one: ptt key {kind} make {name} --replace"
    if kind is SecretKind.TSIG and value.rpartition(":")[0].rpartition(":")[0].lower() != name.lower():
        return f"{kind}.{name} holds a key of another name", "the name stands in front of the first colon too"
    return None


def _check_seed(text: str) -> Malformed | None:
    try:
        seed = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        return Malformed("a seed that is not base64 (with its padding)")
    if len(seed) < MIN_DNSSEC_SEED_OCTETS:
        return Malformed(f"a seed of fewer than {MIN_DNSSEC_SEED_OCTETS} octets")
    return None


def _syntax_fault(text: str, message: str) -> Fault:
    """The parser's words hold a place and may quote one character, never a text."""
    found = re.search(r" \(at (?:line (\d+), column \d+|end of document)\)$", message)
    line = int(found.group(1) or text.count("\n") + 1) if found else 0
    what = message[: found.start()] if found else message
    # Behind a colon the parser may quote what stands there, and an unquoted secret may.
    return Fault(line, f"not TOML: {what.partition(':')[0]}", 'lines are NAME = "TEXT", below a line [KIND]')


def _line_of(lines: list[str], table: str, name: str | None = None) -> int:
    """Where a name stands in a table; where the table begins if that cannot be told."""
    head = re.compile(rf"\s*\[?\s*[\"']?{re.escape(table)}[\"']?\s*[\].=]")
    start = next((number for number, line in enumerate(lines, 1) if head.match(line)), 0)
    if name is None:
        return start
    entry = re.compile(rf"\s*[\"']?{re.escape(name)}[\"']?\s*=")
    return next((number for number, line in enumerate(lines[start:], start + 1) if entry.match(line)), start)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _quoted(name)


def _value(text: str) -> str:
    is_block = "\n" in text and re.fullmatch(r"[ -~\n]*", text) and "'''" not in text
    # A line end right behind the opening quotes is not part of a TOML text.
    return f"'''\n{text}'''" if is_block and not text.endswith("'") else _quoted(text)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
