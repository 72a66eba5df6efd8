"""``ptt user list``, ``show`` and ``verify``: what the repositories hold, for people and for programs."""

import json
import sys

from rich.console import Console
from rich.table import Table

from ptt.cli.user_stores import Stores
from ptt.deployer import user_store as store
from ptt.deployer.user_inspection import Row, findings, rows_of
from ptt.deployer.user_store import PASSWORDS, RELAY
from ptt.errors import ConfigError
from ptt.records.local_part import fold

OK, MISTAKES = 0, 64


def show_list(stores: Stores, *, as_json: bool) -> None:
    """A table of all users."""
    relay, passwords = stores.relay.read(), stores.password_files()
    rows = rows_of(relay, passwords)
    broken = {
        PASSWORDS: store.logins(passwords).faults,
        RELAY: store.relay_users(relay).faults,
    }
    if as_json:
        faults = [f"{where}/{name}" for where, names in broken.items() for name in names]
        write_json({"users": [_row(row) for row in rows], "broken": faults})
        return
    table = Table(box=None, pad_edge=False)
    for column in ("user", "mail goes to", "password", "also"):
        table.add_column(column, overflow="fold")
    for row in rows:
        also = [*row.says, *(["insecure"] if row.insecure else [])]
        table.add_row(row.name, "\n".join(row.targets) or "-", row.password or "-", "; ".join(also))
    Console(highlight=False).print(table)
    count = sum(map(len, broken.values()))
    if count:
        sys.stdout.write(f"\n{count} broken {'file' if count == 1 else 'files'}: ptt user verify says more\n")


def show_user(stores: Stores, name: str, *, as_json: bool) -> None:
    """One user."""
    relay, passwords = stores.relay.read(), stores.password_files()
    row = next((row for row in rows_of(relay, passwords) if fold(row.name) == fold(name)), None)
    if row is None:
        there = store.existing(name, {**passwords, **relay}, RELAY)
        raise ConfigError(f"{RELAY}/{there}", "the file is broken", "ptt user verify says how")
    if as_json:
        write_json(_row(row))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("user", row.name)
    table.add_row("mail goes to", "\n".join(row.targets) or "-")
    table.add_row("password", row.password or "- (nobody logs in)")
    table.add_row("insecure", "yes: mail may go where there is no TLS" if row.insecure else "no")
    for words in row.says:
        table.add_row("also", words)
    Console(highlight=False).print(table)


def verify(stores: Stores, *, as_json: bool) -> int:
    """Every mistake; 64 where there is one."""
    relay = stores.relay.read()
    passwords = None if stores.passwords is None else stores.passwords.read()
    found = findings(relay, passwords, stores.domains)
    mistakes = [each for each in found if each.is_mistake]
    if as_json:
        write_json(
            {
                "mistakes": len(mistakes),
                "findings": [
                    {
                        "file": each.file,
                        "line": each.fault.line,
                        "what": each.fault.what,
                        "mend": each.fault.mend,
                        "is_mistake": each.is_mistake,
                    }
                    for each in found
                ],
            }
        )
    else:
        for each in found:
            sys.stdout.write(f"{'' if each.is_mistake else 'note: '}{each.text}\n")
        files = len(relay) + len(passwords or ())
        sys.stdout.write(
            f"{files} files, {len(mistakes)} {'mistake' if len(mistakes) == 1 else 'mistakes'}\n"
        )
        if not stores.domains:
            sys.stdout.write("circles and dead targets were not looked for: --config names our domains\n")
    return MISTAKES if mistakes else OK


def _row(row: Row) -> dict[str, object]:
    return {
        "user": row.name,
        "targets": row.targets,
        "password": row.password or None,
        "insecure": row.insecure,
        "also": row.says,
    }


def write_json(value: object) -> None:
    """One JSON value on standard output."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")
