"""Network namespaces of our own: everything pretend happens inside, with real addresses and port numbers.

``python -m ptt.rehearsal.namespace -- COMMAND`` runs a command there: as root in new network and mount
namespaces, as an ordinary user in a new user namespace besides, where it is root and (with uidmap's
newuidmap) has the 65,536 subordinate user ids of /etc/subuid, so that Postfix and units have their own ids.
Nothing outside is touched: no interface, no address, no rule. One code path after the first line.
"""

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from ptt.errors import ConfigError

INSIDE = "PTT_REHEARSAL"  # set for what runs inside; the value is the process id of the first command


def is_inside() -> bool:
    """Whether this process runs in a namespace made here."""
    return INSIDE in os.environ


def command_line(command: Sequence[str]) -> list[str]:
    """The command that runs ``command`` in new namespaces; refuses where the system allows none."""
    unshare = shutil.which("unshare")
    if unshare is None:
        raise ConfigError("this machine", "no program unshare", "apt-get install util-linux")
    start = [unshare, "--net", "--mount", "--propagation", "private"]
    if os.geteuid() != 0:
        start += ["--user", "--map-root-user"]
        if has_subordinate_ids():
            start.append("--map-auto")
    return [*start, "--", sys.executable, "-m", "ptt.rehearsal.namespace", "--inside", *command]


def has_subordinate_ids() -> bool:
    """Whether this user may map more than itself: newuidmap is there and /etc/subuid names it."""
    if shutil.which("newuidmap") is None or shutil.which("newgidmap") is None:
        return False
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # nobody has this id: newuidmap maps none for it
        return False
    return all(_names(Path(path), user) for path in ("/etc/subuid", "/etc/subgid"))


def run(command: Sequence[str]) -> int:
    """Run a command in new namespaces and give its exit code."""
    return subprocess.run(command_line(command), check=False).returncode


def add_addresses(addresses: Iterable[str]) -> None:
    """Give this namespace addresses, all on the loopback interface: every pretend host lives here."""
    for address in addresses:
        kind = ip_address(address)
        length = {IPv4Address: 32, IPv6Address: 128}[type(kind)]
        # nodad: else an IPv6 address cannot be bound for a second (RFC 4862 §5.4)
        flags = ["nodad"] if isinstance(kind, IPv6Address) else []
        _ip("address", "replace", f"{address}/{length}", "dev", "lo", *flags)


def name_hosts(addresses: Mapping[str, str]) -> None:
    """Give addresses names for the programs that run in here: an /etc/hosts of our own."""
    lines = [f"{address} {name}\n" for name, address in addresses.items()]
    hosts = Path("/run/hosts")  # our own /run, see ``_inside``
    hosts.write_text("".join(["127.0.0.1 localhost\n", *lines]), encoding="ascii")
    subprocess.run(["mount", "--bind", str(hosts), "/etc/hosts"], check=True)


def use_name_server(address: str) -> None:
    """Let programs in here that read /etc/resolv.conf ask this address, and no other."""
    ours = Path("/run/resolv.conf")  # our own /run, see ``_inside``
    ours.write_text(f"nameserver {address}\noptions timeout:2 attempts:2\n", encoding="ascii")
    theirs = Path("/etc/resolv.conf").resolve()  # often a link into /run, which is empty in here
    if not theirs.exists():
        theirs.parent.mkdir(parents=True, exist_ok=True)
        theirs.touch()
    subprocess.run(["mount", "--bind", str(ours), str(theirs)], check=True)


def _inside(command: Sequence[str]) -> None:
    """The first process within: bring the loopback up, hide the outside's sockets, become the command."""
    _ip("link", "set", "lo", "up")
    # Names and sockets of services outside (nscd, systemd-resolved, dbus) must not leak in: our own /run.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    os.environ[INSIDE] = str(os.getpid())
    os.execvp(command[0], list(command))  # noqa: S606 - the caller's command


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _names(path: Path, user: str) -> bool:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.split(":")[0] in {user, str(os.getuid())} for line in lines)


def main(arguments: Sequence[str]) -> int:
    """Run what stands behind ``--``; ``--inside`` is our own second half."""
    if arguments[:1] == ["--inside"]:
        _inside(arguments[1:])
    command = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    if not command:
        sys.stderr.write("usage: python -m ptt.rehearsal.namespace -- COMMAND [ARGUMENT…]\n")
        return 64
    return run(command)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
