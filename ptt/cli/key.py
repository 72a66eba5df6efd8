"""``ptt key``: makes keys, takes over those of the original, shows what of them is to be made known.

A secret comes from a file or standard input and goes into the file of secrets; on standard output it is with
``--show-secret`` only.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from ptt.deployer.config import find_config, load_config
from ptt.deployer.key_making import Shown, made_text, other_ssh_line, shown, taken_over, weak_seed
from ptt.deployer.secret_store import FILE_NAME, change_secrets, read_secrets
from ptt.errors import ConfigError, Malformed
from ptt.protocol.dns.name import Name
from ptt.records.secrets_file import SecretKind, Secrets

NO_DS = "DNSSEC is not built yet: there is no DS record to enter\n"
SHORT_SEED = "ptt: the seed is shorter than 16 octets: whoever guesses it has the key; make a new one\n"


@dataclass(frozen=True, slots=True)
class Place:
    """The file of secrets, and our domains where they are known."""

    file: Path
    domains: tuple[str, ...] = ()


def place_of(secrets: Path | None, config: Path | None) -> Place:
    """As the options say, else as ``ptt.toml`` says, else here."""
    if config is None and not find_config().exists():
        return Place(secrets or Path(FILE_NAME))
    read = load_config(config)
    return Place(secrets or read.secrets_file, read.domains)


@dataclass(frozen=True, slots=True)
class Wish:
    """Which key, and how it is to be. ``form`` empty, ``bits`` None: as usual."""

    kind: str
    name: str
    form: str = ""
    bits: int | None = None
    replaces: bool = False


def make(place: Place, wish: Wish, *, shows_secret: bool, as_json: bool) -> None:
    """A new key, put into the file."""
    kind = _kind_of(wish)
    text = made_text(kind, wish.name, wish.form, wish.bits)
    _keep(place, wish, text)
    told = shown(kind, wish.name, text, place.domains, shows_secret=shows_secret)
    _tell(told, f"made, kept in {place.file}", as_json=as_json)


def take_over(place: Place, wish: Wish, file: str, *, as_json: bool) -> None:
    """A key of another program, put into the file."""
    kind = _kind_of(wish)
    source = _read(file)
    text = taken_over(kind, source, wish.form, wish.bits)
    if weak_seed(kind, source):
        sys.stderr.write(SHORT_SEED)
    _keep(place, wish, text)
    _tell(shown(kind, wish.name, text, place.domains), f"taken over, kept in {place.file}", as_json=as_json)
    is_ssh_seed = kind is SecretKind.SSH and "PRIVATE KEY" not in source and text.startswith("-----")
    if is_ssh_seed and wish.bits is None and not as_json:
        line = other_ssh_line(source, wish.name)
        sys.stdout.write(
            "\nIf authorized_keys holds this one, of before 2022: once more with --bits 2048 --replace\n"
            f"   {line}\n"
        )


def show(place: Place, kind: str, name: str, *, shows_secret: bool, as_json: bool) -> None:
    """One key of a kind, or all of them."""
    of_kind = SecretKind(kind)
    texts = read_secrets(place.file).of(of_kind)
    if name and name not in texts:
        known = f"there are {', '.join(texts)}" if texts else f"ptt key {kind} make {name}"
        raise ConfigError(f"{place.file}: {kind}.{name}", "there is no such key", known)
    all_shown = [
        shown(of_kind, each, text, place.domains, shows_secret=shows_secret)
        for each, text in texts.items()
        if name in {"", each}
    ]
    if as_json:
        _write([_value(each) for each in all_shown])
        return
    for each in all_shown:
        _tell(each, "", as_json=False)


def show_all(place: Place, *, as_json: bool) -> None:
    """A line for each key; nothing is computed that takes seconds but where a seed is kept."""
    secrets = read_secrets(place.file)
    all_shown = [
        shown(kind, name, text, place.domains)
        for kind in SecretKind
        for name, text in secrets.of(kind).items()
    ]
    if as_json:
        _write([_value(each) for each in all_shown])
        return
    table = Table(box=None, pad_edge=False)
    for column in ("kind", "name", "type", "fingerprint"):
        table.add_column(column, overflow="fold")
    for each in all_shown:
        table.add_row(each.kind, each.name, each.form, each.fingerprint)
    Console(highlight=False).print(table)


def _kind_of(wish: Wish) -> SecretKind:
    kind, name = wish.kind, wish.name
    if not name:
        example = {"ssh": "relay", "dkim": "s2026", "tsig": "letsencrypt._update.example.org"}[kind]
        mend = f"for example: ptt key {kind} make {example}"
        raise ConfigError(f"ptt key {kind}", "a name is missing", mend)
    if kind != SecretKind.SSH and isinstance(read := Name.parse(name), Malformed):
        raise ConfigError(f"ptt key {kind} {name}", read.reason, "it is a part of a domain name")
    return SecretKind(kind)


def _keep(place: Place, wish: Wish, text: str) -> None:
    kind, name = SecretKind(wish.kind), wish.name

    def put(secrets: Secrets) -> Secrets:
        if secrets.get(kind, name) is not None and not wish.replaces:
            mend = "--replace puts the new one in its place; the old one is gone then"
            raise ConfigError(f"{place.file}: {kind}.{name}", "there is such a key already", mend)
        return secrets.holding(kind, name, text)

    change_secrets(place.file, put)


def _read(file: str) -> str:
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(file, str(error), "a file with the key, as text") from error


def _tell(told: Shown, what: str, *, as_json: bool) -> None:
    if as_json:
        _write(_value(told))
        return
    head = f"{told.kind} {told.name}: {told.form}"
    sys.stdout.write(f"{head}, {what}\n" if what else f"{head}\n")
    if told.fingerprint:
        sys.stdout.write(f"   {told.fingerprint}\n")
    for purpose, line in told.lines:
        sys.stdout.write(f"\n{purpose}:\n{line.rstrip()}\n")
    if told.kind is SecretKind.DNSSEC:
        sys.stdout.write(NO_DS)
    if not what:
        sys.stdout.write("\n")


def _value(told: Shown) -> Mapping[str, object]:
    return {
        "kind": told.kind,
        "name": told.name,
        "type": told.form,
        "fingerprint": told.fingerprint or None,
        "lines": dict(told.lines),
    }


def _write(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
