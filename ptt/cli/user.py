"""``ptt user``: changes users and aliases in their repositories, by one commit each."""

import secrets as randomness
import sys
from collections.abc import Mapping, Sequence

from ptt.cli.user_password import SALT_OCTETS, Given, read_password, verifier_of
from ptt.cli.user_stores import Stores, parts_of, rules_of
from ptt.cli.user_view import MISTAKES, OK, write_json
from ptt.deployer import user_store as store
from ptt.deployer.operator_git import Edit
from ptt.deployer.user_store import PASSWORDS, RELAY, Wanted
from ptt.deployer.user_upgrade import Moving, move_in, move_out
from ptt.errors import ConfigError
from ptt.records.address_rules import AddressRule
from ptt.records.passwords import make_blake2b

SHOWN_COMMIT = 10  # digits
HASH_OF_OLD = """\
ptt: without -p the password is kept in relay.git as the original does, as a quick
  hash that the relay can read; -p names passwords.git, ptt user upgrade moves it
"""


def add(
    stores: Stores,
    name: str,
    fields: dict[str, object],
    given: Given,
    *,
    send_as: str | None,
    overwrites: bool,
    as_json: bool,
) -> None:
    """A new user: first where mail goes, then the password."""
    is_alias = given.has_none or bool({"pattern", "action"} & fields.keys())
    rules = rules_of(send_as)
    password = None if is_alias else read_password(given, name)
    is_made = password is not None and given.is_made
    if not overwrites and (there := store.file_of(name, stores.password_files())) is not None:
        mend = f"ptt user passwd {name} changes the password, --overwrite puts a new user in its place"
        raise ConfigError(f"{PASSWORDS}/{there}", "there is such a login already", mend)
    if password is not None and stores.passwords is None:
        _note_old_hash(rules)
        fields = _original_order(fields, make_blake2b(password).text)
    wanted = Wanted(name, fields, stores.domains)
    commits = {RELAY: stores.relay.change(lambda files: store.added(files, wanted, overwrites=overwrites))}
    if password is not None and stores.passwords is not None:
        verifier = verifier_of(password, given)
        domains = fields.get("domains")
        in_domains = [str(domain) for domain in domains] if isinstance(domains, list) else None
        commits[PASSWORDS] = stores.passwords.change(
            lambda files: store.with_verifier(
                files, name, verifier, send_as=rules, domains=in_domains, is_new=True
            )
        )
    elif is_alias and overwrites and store.file_of(name, stores.password_files()) is not None:
        commits[PASSWORDS] = stores.needed_passwords.change(
            lambda files: store.removed(files, [name], is_meant=False, repository=PASSWORDS)
        )
    _tell(name, commits, "added", password if is_made else None, as_json=as_json)


def change(
    stores: Stores, name: str, fields: dict[str, object], *, send_as: str | None, as_json: bool
) -> None:
    """Some fields, in the repository that they are in."""
    of_login: dict[str, object] = {}
    if send_as is not None:
        rules_of(send_as)
        of_login["send_as"] = parts_of(send_as) or None
    if "domains" in fields and store.file_of(name, stores.password_files()) is not None:
        of_login["domains"] = fields["domains"]
    if not fields and not of_login:
        raise ConfigError("ptt user change", "nothing to change", "ptt user change --help names the options")
    commits = {}
    if fields:
        wanted = Wanted(name, fields, stores.domains)
        commits[RELAY] = stores.relay.change(lambda files: store.changed(files, wanted))
    if of_login:
        commits[PASSWORDS] = stores.needed_passwords.change(
            lambda files: store.with_fields(files, name, of_login)
        )
    _tell(name, commits, "changed", None, as_json=as_json)


def remove(stores: Stores, names: Sequence[str], *, is_meant: bool, as_json: bool) -> None:
    """First the logins, then where mail goes."""
    in_passwords = [name for name in names if store.file_of(name, stores.password_files()) is not None]
    relay_files = stores.relay.read()
    in_relay = [
        name for name in names if store.file_of(name, relay_files) is not None or name not in in_passwords
    ]
    if in_relay:
        store.removed(relay_files, in_relay, is_meant=is_meant)  # refuses before anything is changed
    commits = {}
    if in_passwords:
        commits[PASSWORDS] = stores.needed_passwords.change(
            lambda files: store.removed(files, in_passwords, is_meant=is_meant, repository=PASSWORDS)
        )
    if in_relay:
        commits[RELAY] = stores.relay.change(lambda files: store.removed(files, in_relay, is_meant=is_meant))
    _tell(", ".join(names), commits, "removed", None, as_json=as_json)


def passwd(stores: Stores, name: str, given: Given, *, as_json: bool) -> None:
    """A new password, in ``passwords.git`` where there is one."""
    relay_files, password_files = stores.relay.read(), stores.password_files()
    if store.file_of(name, password_files) is None:
        store.existing(name, relay_files, RELAY)
    password = read_password(given, name)
    commits = {}
    if stores.passwords is None:
        _note_old_hash(None)
        wanted = Wanted(name, {"password": make_blake2b(password).text})
        commits[RELAY] = stores.relay.change(lambda files: store.changed(files, wanted))
    else:
        verifier = verifier_of(password, given)
        commits[PASSWORDS] = stores.passwords.change(lambda files: store.with_verifier(files, name, verifier))
        if store.file_of(name, relay_files) is not None:  # an old hash there would let the old password in
            wanted = Wanted(name, {"password": None})
            commits[RELAY] = stores.relay.change(lambda files: store.changed(files, wanted))
    _tell(name, commits, "changed", password if given.is_made else None, as_json=as_json)


def upgrade(stores: Stores, *, as_json: bool) -> int:
    """Move all verifiers; 64 where a file could not be read."""
    passwords = stores.needed_passwords
    relay_files = stores.relay.read()
    done: list[Moving] = []

    def arrive(files: Mapping[str, bytes]) -> Edit | None:
        done.append(move_in(relay_files, files, lambda: randomness.token_bytes(SALT_OCTETS)))
        return done[-1].edit

    commits = {PASSWORDS: passwords.change(arrive)}
    arrived = passwords.read()
    moving = done[-1]
    commits[RELAY] = stores.relay.change(lambda files: move_out(files, arrived, moving.sources))
    if as_json:
        write_json(
            {
                "moved": moving.moved,
                "kept": moving.kept,
                "mistakes": [fault.at(f"{RELAY}/{name}") for name, fault in moving.mistakes.items()],
                "commits": commits,
            }
        )
    else:
        _tell_moving(moving, commits)
    return MISTAKES if moving.mistakes else OK


def _tell_moving(moving: Moving, commits: Mapping[str, str]) -> None:
    for fault_file, fault in moving.mistakes.items():
        sys.stderr.write(f"{fault.at(f'{RELAY}/{fault_file}')}\n")
    if not moving.sources:
        sys.stdout.write("no password is left in relay.git: set compatible = false in ptt.toml\n")
        return
    sys.stdout.write(
        f"moved    {len(moving.moved)} passwords to passwords.git; all log in as before\n"
        f"removed  {len(moving.kept)} that were there already\n"
    )
    for repository, commit in commits.items():
        sys.stdout.write(f"         {repository} {commit[:SHOWN_COMMIT] or 'unchanged'}\n")
    sys.stdout.write(
        "\nThe old hashes are argon2id over BLAKE2b now: nobody has to change anything,\n"
        "and who steals the file guesses as slowly as with new ones. Older commits of\n"
        "relay.git still hold the quick hashes: whoever has a copy can go on guessing;\n"
        "ptt user passwd USER ends that for a user. When no old program reads relay.git\n"
        "any more: compatible = false in ptt.toml.\n"
    )


def _note_old_hash(rules: Sequence[AddressRule] | None) -> None:
    if rules is not None:
        what = "it is kept in passwords.git, which is not named"
        raise ConfigError("--send-as", what, "name it: -p REPOSITORY")
    sys.stderr.write(HASH_OF_OLD)


def _original_order(fields: Mapping[str, object], password: str) -> dict[str, object]:
    """``targets``, ``password``, ``insecure``, as the original writes them."""
    first = {"targets": fields.get("targets", []), "password": password}
    return {**first, **{name: value for name, value in fields.items() if name != "targets"}}


def _tell(name: str, commits: Mapping[str, str], what: str, password: str | None, *, as_json: bool) -> None:
    if as_json:
        shown = {} if password is None else {"password": password}
        write_json({"user": name, "done": what, **shown, "commits": commits})
        return
    if password is not None:
        sys.stdout.write(f"login     {name}\npassword  {password}   (shown this once)\n\n")
    told = [f"{repository} {commit[:SHOWN_COMMIT]}" for repository, commit in commits.items() if commit]
    sys.stdout.write(f"{name} {what if told else 'unchanged'}: {', '.join(told) or 'it is so already'}\n")
