"""Users, passwords and zones in Git: there, in form, by the readers that the units have; mistakes by line."""

from collections.abc import Callable, Iterator, Mapping

from ptt.deployer.checks.finding import Finding, fail, ok, warn
from ptt.deployer.config import Config
from ptt.deployer.operator_git import OperatorRepository
from ptt.deployer.user_store import Files, logins, relay_users
from ptt.errors import ConfigError, Malformed, UnreachableError
from ptt.protocol.dns.name import Name
from ptt.protocol.dns.zone import Zone
from ptt.protocol.dns.zonefile import ZoneFault, read_zone
from ptt.records.alias_book import AliasBook
from ptt.records.logins import Login, parse_login
from ptt.records.user_list import UserList
from ptt.records.user_mistakes import mistake_in
from ptt.records.users import RelayUser, parse_relay_user

KEYS_SUFFIX = "_keys"  # files of TSIG keys, as the original has them
MAX_SHOWN = 10  # broken files; whoever has more has one cause


def read_repository_files(config: Config, name: str) -> Files | ConfigError:
    """All files of ``relay``, ``passwords`` or ``zone`` as their head is now; blocks."""
    place = config.repositories.place(name)
    path = config.repository(place)
    branch = place.partition("#")[1:]
    try:
        return OperatorRepository(place if path is None else f"{path}{''.join(branch)}").read()
    except ConfigError as error:
        return error


def judge_unreachable(name: str, error: ConfigError) -> Finding:
    """A repository that could not be read."""
    consequence = "what units know of it stays in force until they are restarted"
    verb = "does not answer" if isinstance(error, UnreachableError) else "cannot be read"
    return fail(f"{name}.git", f"{error.where} {verb}: {error.what}; {consequence}", error.mend)


def judge_users(files: Files, config: Config) -> Iterator[Finding]:
    """The files of ``relay.git``."""
    users = relay_users(files)
    yield from _faults("relay.git", files, users, parse_relay_user)
    circles = AliasBook(users, frozenset(map(Name.of, config.domains))).circles()
    for way in sorted(set(map(_from_the_first, circles.values()))):
        told = " -> ".join((*way, way[0]))
        what = f"relay.git/{way[0]}: targets lead back to itself: {told}"
        yield fail("relay.git", what, f"give {way[-1]} a target somewhere else: ptt user change {way[-1]}")
    if not users.users and not users.faults:
        yield warn("relay.git", "nobody has an address yet", "ptt user add NAME -t TARGET")
    elif not users.faults and not circles:
        yield ok("relay.git", f"users and aliases: {len(users.users)}")
    if not config.postmaster and users.users and users.find("postmaster") is None:
        what = "nobody gets mail for postmaster, which every domain must take (RFC 5321 §4.5.1)"
        yield warn("postmaster", what, 'name somebody in ptt.toml: postmaster = "NAME"')


def judge_logins(files: Files) -> Iterator[Finding]:
    """The files of ``passwords.git``."""
    found = logins(files)
    yield from _faults("passwords.git", files, found, parse_login)
    if not found.faults:
        yield ok("passwords.git", f"verifiers of passwords: {len(found.users)}")


def read_zones(files: Files) -> Mapping[str, Zone | ZoneFault]:
    """Each zone file by its name, read as dns_primary does."""
    found: dict[str, Zone | ZoneFault] = {}
    for name, content in sorted(files.items()):
        if name.startswith(".") or name.endswith(KEYS_SUFFIX):
            continue
        origin = Name.parse(name.rstrip("."))
        if isinstance(origin, Malformed):
            found[name] = ZoneFault(name, "the file's name is no name of a zone")
            continue
        try:
            found[name] = read_zone(content.decode("utf-8"), origin, name)
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            found[name] = ZoneFault(f"{name}:{line}", "it is no text")
    return found


def judge_zones(zones: Mapping[str, Zone | ZoneFault], config: Config) -> Iterator[Finding]:
    """The files of ``zone.git``."""
    broken = [each for each in zones.values() if isinstance(each, ZoneFault)]
    for fault in broken[:MAX_SHOWN]:
        what = f"zone.git/{fault.where}: {fault.reason}; the last good file stays in force"
        yield fail("zone.git", what, "mend the line, commit and push")
    there = {name.rstrip(".").lower() for name in zones}
    missing = [domain for domain in config.domains if domain not in there]
    for domain in missing:
        what = f"there is no zone file {domain}: nobody can find the domain"
        yield fail("zone.git", what, f"add the file {domain}; ptt init --folder NEW shows how it looks")
    if not broken and not missing:
        yield ok("zone.git", f"{len(zones)} zones: {', '.join(sorted(there))}")


def _faults(
    repository: str,
    files: Files,
    read: UserList[RelayUser] | UserList[Login],
    parse: Callable[[str, bytes], RelayUser | Login | Malformed],
) -> Iterator[Finding]:
    for file_name, reason in list(read.faults.items())[:MAX_SHOWN]:
        place, mistake = f"{repository}/{file_name}", mistake_in(file_name, files[file_name], parse)
        if mistake is None:
            yield fail(repository, f"{place}: {reason.reason}", f"ptt user remove {file_name}, or rename it")
        else:
            where = f"{place}:{mistake.line}" if mistake.line else place
            yield fail(repository, f"{where}: {mistake.what}", mistake.mend)
    if len(read.faults) > MAX_SHOWN:
        what = f"{len(read.faults) - MAX_SHOWN} more files are broken"
        yield fail(repository, what, "mend those above first")


def _from_the_first(way: tuple[str, ...]) -> tuple[str, ...]:
    """The same way round, always begun at the same name."""
    start = way.index(min(way))
    return way[start:] + way[:start]
