"""``ptt init``: makes what a new domain needs and prints what only its owner can do, ready to paste."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.console import Console

from ptt.deployer.config import SYSTEM_FOLDER
from ptt.deployer.config_kinds import ADDRESS, DOMAIN, RECIPIENT, Kind
from ptt.deployer.first_zone import for_provider, for_registrar
from ptt.deployer.founding import Founded, Wishes, found
from ptt.errors import ConfigError, Malformed
from ptt.host.user_ids import is_root

DS_LATER = "DNSSEC is not built yet: there is no DS record to enter"


def run(
    domain: str,
    addresses: Sequence[str],
    folder: Path | None,
    *,
    host_name: str,
    postmaster: str,
    as_json: bool,
) -> None:
    """Make it, say what was made and what is left to do."""
    asks = sys.stdin.isatty() and not as_json and not (domain and addresses)
    if asks:
        domain = domain or _ask("Your domain", DOMAIN)
        addresses = addresses or [_ask("This server's public IPv4 address", ADDRESS)]
        postmaster = postmaster or typer.prompt(
            "Where do people reach you (for postmaster and abuse; empty: later)",
            default="",
            show_default=False,
        )
    if not addresses:
        raise ConfigError("--address", "missing", "this server's public address: --address 192.0.2.10")
    made = found(
        Wishes(
            domain=_checked("DOMAIN", domain, DOMAIN),
            addresses=tuple(_checked("--address", address, ADDRESS) for address in addresses),
            folder=(folder or _default_folder(domain)).absolute(),
            host_name=_checked("--host-name", host_name, DOMAIN) if host_name else "",
            postmaster=_checked("--postmaster", postmaster, RECIPIENT) if postmaster else "",
        )
    )
    if as_json:
        sys.stdout.write(json.dumps(_told(made), indent=1) + "\n")
    else:
        _show(made, Console(highlight=False, soft_wrap=True))


def _default_folder(domain: str) -> Path:
    return SYSTEM_FOLDER if is_root() else Path(domain)


def _ask(question: str, kind: Kind[str]) -> str:
    while True:
        read = kind.read(typer.prompt(question).strip())
        if not isinstance(read, Malformed):
            return read
        sys.stdout.write(f"  {read.reason}\n")


def _checked(option: str, value: str, kind: Kind[str]) -> str:
    read = kind.read(value)
    if isinstance(read, Malformed):
        raise ConfigError(option, f"{value!r}" if value else "missing", read.reason)
    return read


def _told(made: Founded) -> dict[str, object]:
    return {
        "folder": str(made.config.folder),
        "made": made.made,
        "kept": made.kept,
        "registrar": for_registrar(made.naming),
        "ds": [],
        "reverse_names": for_provider(made.naming),
    }


def _show(made: Founded, console: Console) -> None:
    config, naming = made.config, made.naming
    console.print(f"[bold]PTT for {config.domain}[/], in {config.folder}")
    if made.made:
        for name, says in _CONTENTS:
            if any(each == name or each.startswith(f"{name} ") for each in made.made):
                console.print(f"  made  {says.format(domain=config.domain)}", markup=False)
    if made.kept:
        console.print(f"  kept  what was there already: {len(made.kept)} files and keys", markup=False)
    console.print("\nOnly you can do this:\n")
    console.print(f"[bold]1[/]  At the registrar of {config.domain}: the name server, with its glue")
    _paste(console, for_registrar(naming))
    console.print(f"[bold]2[/]  {DS_LATER}\n")
    console.print("[bold]3[/]  Where the server is rented: the reverse name of each address")
    _paste(console, for_provider(naming))
    console.print("Then, on this server:\n")
    option = "" if config.folder == SYSTEM_FOLDER else f" --config {config.file}"
    for command, says in (
        (f"ptt up{option}", "runs it; Ctrl-C ends it"),
        (f"ptt user add alice -t alice@home.example{option}", "an address, and where its mail goes"),
        (f"ptt check{option}", "is everything right, seen from outside?"),
    ):
        console.print(f"   {command}", markup=False)
        console.print(f"      [dim]{says}[/]")


_CONTENTS = (
    ("ptt.toml", "ptt.toml        what you decide"),
    ("dkim", "secrets.toml    all keys, readable by you alone    (each unit its own)"),
    ("relay.git", "relay.git       users and where their mail goes    (relay, submission)"),
    ("passwords.git", "passwords.git   what checks their passwords        (submission)"),
    ("zone.git", "zone.git        its zones: {domain}, srs.{domain}"),
)


def _paste(console: Console, records: Sequence[str]) -> None:
    console.print()
    for record in records:
        console.print(f"   {record}", markup=False)
    console.print()
