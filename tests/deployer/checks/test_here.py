"""Every planted fault on this machine is found: secrets, repositories, ports, isolation, an open relay."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ptt.boot import Closed
from ptt.deployer.checks.configuration import judge_config, judge_secrets
from ptt.deployer.checks.finding import Finding, Level
from ptt.deployer.checks.inspection import NOT_BUILT
from ptt.deployer.checks.isolation import judge_isolation, this_kernel
from ptt.deployer.checks.port_trying import ask_to_relay, greet, our_ports, try_outward, try_to_bind
from ptt.deployer.checks.ports import (
    Outward,
    Port,
    PortFact,
    judge_outward,
    judge_port_53,
    judge_ports,
    judge_relay,
)
from ptt.deployer.checks.repositories import (
    judge_logins,
    judge_unreachable,
    judge_users,
    judge_zones,
    read_repository_files,
    read_zones,
)
from ptt.deployer.config import Config, RelayConfig, Repositories, Smarthost
from ptt.deployer.first_zone import first_zones
from ptt.deployer.founding import Founded
from ptt.deployer.secret_store import read_secrets
from ptt.errors import ConfigError
from ptt.manifest import INTERNET, Channel, Listen
from ptt.net.fixed_lookup import FixedLookup, read_zone
from ptt.records.secrets_file import SecretKind, Secrets

FAIL = Level.FAIL
HOME = b'{"targets": ["a@home.example"], "insecure": false}'


def levels(findings: Iterator[Finding]) -> set[Level]:
    return {finding.level for finding in findings}


def the_fault(findings: Iterator[Finding]) -> Finding:
    [found] = [finding for finding in findings if finding.level is FAIL]
    assert found.mend
    return found


def test_what_init_made_has_no_fault(founded: Founded, config: Config) -> None:
    secrets = read_secrets(config.secrets_file)
    assert levels(judge_config(config)) == {Level.OK}
    assert levels(judge_secrets(config, secrets)) == {Level.OK}
    assert levels(judge_users({"alice": HOME}, config)) == {Level.OK}
    assert levels(judge_logins({})) == {Level.OK}
    zones = read_repository_files(config, "zone")
    assert not isinstance(zones, ConfigError)
    assert levels(judge_zones(read_zones(zones), config)) == {Level.OK}


def test_secrets_that_others_may_read(config: Config, tmp_path: Path) -> None:
    file = tmp_path / "secrets.toml"
    file.write_bytes(config.secrets_file.read_bytes())
    file.chmod(0o644)
    with pytest.raises(ConfigError) as error:
        read_secrets(file)
    found = the_fault(judge_secrets(config, error.value))
    assert "others may read" in found.sentence
    assert found.mend == f"chmod 600 {file}"


@pytest.mark.parametrize(
    ("kind", "name", "told"),
    [
        (SecretKind.DKIM, "", "dkim rsa1, dkim ed1"),
        (SecretKind.OTHER, "srs_keys", "other srs_keys"),
        (SecretKind.CERTIFICATE, "all", "certificate all"),
        (SecretKind.TSIG, "letsencrypt._update.example.org", "tsig letsencrypt._update.example.org"),
    ],
)
def test_a_missing_key(config: Config, kind: SecretKind, name: str, told: str) -> None:
    secrets = read_secrets(config.secrets_file)
    for each in [name] if name else list(secrets.of(kind)):
        secrets = secrets.without(kind, each)
    found = the_fault(judge_secrets(config, secrets))
    assert f"secrets.toml has no {told}" in found.sentence


def test_keys_of_what_is_not_used_are_not_missed(config: Config) -> None:
    secrets = read_secrets(config.secrets_file)
    for name in list(secrets.of(SecretKind.SSH)):
        secrets = secrets.without(SecretKind.SSH, name)
    assert levels(judge_secrets(config, secrets)) == {Level.OK}
    remote = replace(config, repositories=Repositories(relay="git@git.example.org:relay.git"))
    assert "ssh relay, ssh submission" in the_fault(judge_secrets(remote, secrets)).sentence
    smart = replace(config, relay=RelayConfig(smarthost=Smarthost(host="out.example.net", login="me")))
    assert "smarthost_password" in the_fault(judge_secrets(smart, secrets)).sentence
    assert "secrets.toml has no" in the_fault(judge_secrets(config, Secrets())).sentence


def test_a_repository_that_is_gone(config: Config, tmp_path: Path) -> None:
    gone = replace(config, repositories=Repositories(relay=str(tmp_path / "relay.git")))
    files = read_repository_files(gone, "relay")
    assert isinstance(files, ConfigError)
    found = judge_unreachable("relay", files)
    assert found.level is FAIL
    assert "relay.git" in found.sentence
    assert found.mend


def test_a_branch_that_is_gone(config: Config) -> None:
    place = f"{config.path(config.repositories.zone)}#other"
    files = read_repository_files(replace(config, repositories=Repositories(zone=place)), "zone")
    assert isinstance(files, ConfigError)


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"bob": b'{"targets":\n ["bob"]}'}, "relay.git/bob:2: targets[0]"),
        ({"bob": b'{"targets": ['}, "relay.git/bob:1: "),
        ({"bob": HOME, "Bob": HOME}, "another file has the same name"),
        (
            {"a": b'{"targets": ["b@example.org"]}', "b": b'{"targets": ["a@example.org"]}'},
            "targets lead back to itself: a -> b -> a",
        ),
    ],
)
def test_users_with_a_mistake(config: Config, files: dict[str, bytes], told: str) -> None:
    assert told in the_fault(judge_users({**files, "alice": HOME}, config)).sentence


def test_users_that_are_not_there(config: Config) -> None:
    [nobody] = judge_users({}, config)
    assert (nobody.level, nobody.mend) == (Level.WARN, "ptt user add NAME -t TARGET")
    lonely = replace(config, postmaster="")
    assert "postmaster" in {each.what for each in judge_users({"alice": HOME}, lonely)}
    assert levels(judge_users({"alice": HOME, "postmaster": HOME}, lonely)) == {Level.OK}


def test_many_broken_files_are_counted(config: Config) -> None:
    files = {f"user{number}": b"{" for number in range(30)}
    found = [each for each in judge_users(files, config) if each.level is FAIL]
    assert len(found) == 11
    assert found[-1].sentence.startswith("20 more files")


def test_a_broken_verifier() -> None:
    assert "passwords.git/bob:1:" in the_fault(judge_logins({"bob": b'{"verifier": "x"}'})).sentence


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda text: text.replace(b" A 192.0.2.10", b" A 192.0.2.310", 1), "zone.git/example.org:"),
        (lambda _: b"\xff\xfe", "zone.git/example.org:1: it is no text"),
    ],
)
def test_a_broken_zone(founded: Founded, config: Config, change: Callable[[bytes], bytes], told: str) -> None:
    files = {**first_zones(founded.naming), "_keys": b"", ".notes": b""}
    files["example.org"] = change(files["example.org"])
    assert told in the_fault(judge_zones(read_zones(files), config)).sentence


def test_a_zone_that_is_not_there(founded: Founded, config: Config) -> None:
    more = replace(config, more_domains=("example.com",))
    found = the_fault(judge_zones(read_zones(first_zones(founded.naming)), more))
    assert "no zone file example.com" in found.sentence
    odd = read_zones({**first_zones(founded.naming), "a..b": b""})
    assert "no name of a zone" in the_fault(judge_zones(odd, config)).sentence


def test_isolation_that_the_kernel_lacks() -> None:
    lacking = list(judge_isolation(Closed(0, False, False, False), own_network=False))
    assert levels(iter(lacking)) == {Level.WARN}
    assert all(finding.mend for finding in lacking)
    assert "no Landlock" in lacking[0].sentence
    [whole] = judge_isolation(Closed(6, True, True, True), own_network=True)
    assert whole.level is Level.OK
    closed, own_network = this_kernel()
    assert list(judge_isolation(closed, own_network=own_network))


def test_ports_that_another_program_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = try_to_bind("127.0.0.1", port, "TCP")
    assert f"TCP port {port} at 127.0.0.1 is in use" in the_fault(judge_ports([taken], "x")).sentence
    assert try_to_bind("127.0.0.1", port, "TCP").state is Port.FREE
    elsewhere = try_to_bind("192.0.2.77", 0, "UDP")
    assert "no address of this machine" in the_fault(judge_ports([elsewhere], "x")).sentence
    assert [listen.port for listen in our_ports()] == [465, 587, 25, 53, 53]


@pytest.mark.parametrize(
    ("state", "level", "told"),
    [
        (Port.DENIED, FAIL, "may not listen"),
        (Port.SILENT, FAIL, "does not answer though the service runs"),
        (Port.STRANGE, FAIL, "expected mail.example.org"),
        (Port.NO_CERTIFICATE, Level.WAIT, "no certificate yet"),
        (Port.OURS, Level.OK, "25 at 192.0.2.10 are served by us"),
        (Port.FREE, Level.OK, "are free for ptt up"),
    ],
)
def test_ports(state: Port, level: Level, told: str) -> None:
    [found] = judge_ports([PortFact("192.0.2.10", 25, "TCP", state, "220 other")], "mail.example.org")
    assert found.level is level
    assert told in found.sentence


def test_port_25_outward() -> None:
    blocked = [Outward("mx.example.net", "no answer"), Outward("mx.example.com", "no answer")]
    found = the_fault(judge_outward(blocked, ["192.0.2.10"], smarthost=""))
    assert "no connection to 2 well-known servers" in found.sentence
    assert found.mend == "Ask the provider to open port 25 for 192.0.2.10, or set relay.smarthost"
    one = [*blocked, Outward("mx.example.org", "")]
    assert levels(judge_outward(one, ["192.0.2.10"], smarthost="")) == {Level.OK}
    assert levels(judge_outward([], ["192.0.2.10"], smarthost="")) == {Level.WAIT}
    assert levels(judge_outward(one, ["192.0.2.10"], smarthost="out.example")) == {Level.OK}
    assert "no connection to out.example" in (
        the_fault(judge_outward(blocked, ["192.0.2.10"], smarthost="out.example")).sentence
    )


def test_port_25_outward_is_tried(config: Config) -> None:
    lookup = read_zone("open.example A 127.0.0.1\nclosed.example A 127.0.0.1")
    assert isinstance(lookup, FixedLookup)

    async def tries(port: int, *names: str) -> list[Outward]:
        return await try_outward(replace(config, relay=RelayConfig(port=port)), lookup, names)

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert asyncio.run(tries(port, "open.example", "nowhere.example")) == [Outward("open.example", "")]
    [closed] = asyncio.run(tries(port, "closed.example"))
    assert closed.trouble == "connection refused"
    smart = RelayConfig(smarthost=Smarthost(host="gone.example", login="me"))
    [gone] = asyncio.run(try_outward(replace(config, relay=smart), lookup, ()))
    assert gone.trouble == "it has no address"


def test_port_53_outward() -> None:
    assert judge_port_53(1, 4, "").level is Level.OK
    assert "4 servers of the root" in judge_port_53(0, 4, "no answer").sentence


@pytest.mark.parametrize(
    ("code", "level"), [(550, Level.OK), (250, FAIL), (451, Level.WARN), (0, Level.WAIT)]
)
def test_an_open_relay(code: int, level: Level) -> None:
    assert judge_relay(code, "says so", "192.0.2.10").level is level


def test_nobody_to_ask_for_relaying() -> None:
    assert ask_to_relay("127.0.0.77", "mail.example.org")[0] == 0


def test_what_is_not_built_is_said() -> None:
    assert [what for what, _ in NOT_BUILT] == ["DS", "TLSA", "certificate", "secondary"]


@pytest.mark.parametrize(
    ("greeting", "state"),
    [
        (b"220 mail.example.org ESMTP\r\n", Port.OURS),
        (b"220 other.example ESMTP\r\n", Port.STRANGE),
        (b"554 mail.example.org\r\n", Port.STRANGE),
        (b"", Port.STRANGE),
    ],
)
def test_who_greets(greeting: bytes, state: Port) -> None:
    async def meet() -> PortFact:
        async def say(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)
            writer.close()
            await writer.wait_closed()

        async with await asyncio.start_server(say, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            listen = Listen("smtp", port, Channel.SMTP, (INTERNET,))
            return await greet("127.0.0.1", listen, "mail.example.org")

    assert asyncio.run(meet()).state is state


@pytest.mark.parametrize("channel", [Channel.SMTP, Channel.SUBMISSION])
def test_nobody_greets(channel: Channel) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    fact = asyncio.run(greet("127.0.0.1", Listen("x", port, channel, (INTERNET,)), "mail.example.org"))
    assert (fact.state, fact.said) == (Port.SILENT, "connection refused")


def test_a_host_with_ipv6_alone_tries_by_ipv6(config: Config) -> None:
    lookup = read_zone("closed.example AAAA ::1\nfour.example A 127.0.0.1")
    assert isinstance(lookup, FixedLookup)
    with socket.create_server(("127.0.0.1", 0)) as server:
        told = replace(config, addresses=("2001:db8::10",), relay=RelayConfig(port=server.getsockname()[1]))
        tried = asyncio.run(try_outward(told, lookup, ["closed.example", "four.example"]))
    assert [each.name for each in tried] == ["closed.example"]
    assert tried[0].trouble
