"""Every planted fault in delegation, reverse names and mail's records is found, named and mended."""

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import pytest

from ptt.deployer.checks.finding import Finding, Level, Theme
from ptt.deployer.config import Config, RelayConfig
from ptt.protocol.dns.work import Transport

OURS, OURS_6 = "192.0.2.10", "2001:db8::10"
TOP, TOP_2, NAMES, ELSEWHERE = "198.51.100.2", "198.51.100.3", "203.0.113.53", "203.0.113.99"
DELEGATED = f"example NS ns1.example\nns1.example A {OURS}\nns1.example AAAA {OURS_6}\n"
MX = "example.org. MX 10 mail.example.org."
SPF = 'example.org. TXT "v=spf1 mx -all"'
HELO = 'mail.example.org. TXT "v=spf1 a -all"'
DMARC = '_dmarc.example.org. TXT "v=DMARC1; p=reject; aspf=s; adkim=s"'
FAIL, WAIT, WARN = Level.FAIL, Level.WAIT, Level.WARN


class Pretend(Protocol):
    """The fixture ``pretend``."""

    config: Config
    zones: dict[str, dict[str, str]]
    silent: set[tuple[str, Transport]]
    is_running: bool

    def edit(self, address: str, origin: str, old: str, new: str) -> None: ...
    def findings(self, theme: Theme) -> list[Finding]: ...


Plant = Callable[[Pretend], None]


def at_top(old: str, new: str) -> Plant:
    def plant(pretend: Pretend) -> None:
        for address in (TOP, TOP_2):
            pretend.edit(address, "org", old, new)

    return plant


def in_zone(old: str, new: str, origin: str = "example.org") -> Plant:
    def plant(pretend: Pretend) -> None:
        for address in (OURS, OURS_6):
            pretend.edit(address, origin, old, new)

    return plant


def in_arpa(old: str, new: str) -> Plant:
    return lambda pretend: pretend.edit(NAMES, "arpa", old, new)


def key_of(pretend: Pretend, selector: str) -> str:
    text = pretend.zones[OURS]["example.org"]
    return next(line for line in text.splitlines() if line.startswith(f"{selector}._domainkey"))


def without_key(pretend: Pretend) -> None:
    in_zone(key_of(pretend, "ed1"), "")(pretend)


def another_key(pretend: Pretend) -> None:
    record = 'ed1._domainkey.example.org. TXT "v=DKIM1; k=ed25519; p={}"'
    in_zone(key_of(pretend, "ed1"), record.format("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="))(pretend)


def broken_key(pretend: Pretend) -> None:
    broken = 'rsa1._domainkey.example.org. TXT "v=DKIM1; k=rsa; p=MIIBIjAN"'
    in_zone(key_of(pretend, "rsa1"), broken)(pretend)


def without_srs(pretend: Pretend) -> None:
    for address in (OURS, OURS_6):
        del pretend.zones[address]["srs.example.org"]
        pretend.edit(address, "example.org", "srs.example.org. NS ns1.example.org.", "")


def lame(pretend: Pretend) -> None:
    """Another server is named that does not serve the zone."""
    at_top(DELEGATED, DELEGATED + f"example NS ns2.example\nns2.example A {ELSEWHERE}\n")(pretend)
    pretend.zones[ELSEWHERE] = {"arpa": pretend.zones[NAMES]["arpa"]}


def half_delegated(pretend: Pretend) -> None:
    pretend.edit(TOP_2, "org", DELEGATED, "")


def without_tcp(pretend: Pretend) -> None:
    pretend.silent.update({(OURS, Transport.TCP), (OURS_6, Transport.TCP)})


def without_service(pretend: Pretend) -> None:
    del pretend.zones[OURS], pretend.zones[OURS_6]
    pretend.is_running = False


def silent_top(pretend: Pretend) -> None:
    del pretend.zones[TOP], pretend.zones[TOP_2]


FAULTS = {
    "no delegation": (
        Theme.DELEGATION,
        at_top(DELEGATED, ""),
        FAIL,
        "delegation",
        "it has none | enter: example.org. NS ns1.example.org.; ns1.example.org. A 192.0.2.10",
    ),
    "missing NS": (
        Theme.DELEGATION,
        at_top("example NS ns1.example\n", f"example NS old.example\nold.example A {ELSEWHERE}\n"),
        FAIL,
        "delegation",
        "org. servers name old.example.org for example.org, and not ns1.example.org",
    ),
    "wrong glue": (
        Theme.DELEGATION,
        at_top(f"A {OURS}", f"A {ELSEWHERE}"),
        FAIL,
        "delegation",
        f"have glue {ELSEWHERE} for ns1.example.org, which should be {OURS} and {OURS_6}",
    ),
    "glue of one family is missing": (
        Theme.DELEGATION,
        at_top(f"ns1.example AAAA {OURS_6}\n", ""),
        WARN,
        "delegation",
        f"no glue {OURS_6}",
    ),
    "one server of the registry lags": (
        Theme.DELEGATION,
        half_delegated,
        WAIT,
        "delegation",
        "2 servers of org. do not agree yet",
    ),
    "the registry is silent": (Theme.DELEGATION, silent_top, FAIL, "delegation", "no answer within 2 s"),
    "lame server": (
        Theme.DELEGATION,
        lame,
        FAIL,
        "name server",
        f"asked ns2.example.org at {ELSEWHERE} for the SOA of example.org: rcode REFUSED",
    ),
    "TCP is blocked": (
        Theme.DELEGATION,
        without_tcp,
        FAIL,
        "name server",
        "over TCP: no answer within 2 s | let TCP port 53 in",
    ),
    "nothing runs here": (
        Theme.DELEGATION,
        without_service,
        FAIL,
        "name server",
        "the service does not run here | start it: ptt up",
    ),
    "no PTR": (
        Theme.REVERSE,
        in_arpa("10.2.0.192.in-addr.arpa. PTR mail.example.org.\n", ""),
        FAIL,
        "reverse name",
        f"{OURS} has no reverse name | the reverse name: 10.2.0.192.in-addr.arpa. PTR mail.example.org.",
    ),
    "PTR is not forward-confirmed": (
        Theme.REVERSE,
        in_arpa("10.2.0.192.in-addr.arpa. PTR mail", "10.2.0.192.in-addr.arpa. PTR other"),
        FAIL,
        "reverse name",
        f"{OURS} -> other.example.org, which does not lead back",
    ),
    "PTR is another name of ours": (
        Theme.REVERSE,
        in_arpa("10.2.0.192.in-addr.arpa. PTR mail", "10.2.0.192.in-addr.arpa. PTR ns1"),
        WARN,
        "reverse name",
        "the server greets as mail.example.org",
    ),
    "no PTR of IPv6": (
        Theme.REVERSE,
        in_arpa(".ip6.arpa. PTR mail.example.org.", '.ip6.arpa. TXT "none"'),
        WARN,
        "IPv6",
        f"{OURS_6} has no reverse name: mail goes out by IPv4 only",
    ),
    "no MX": (
        Theme.MAIL,
        in_zone(MX, ""),
        FAIL,
        "MX",
        f"none, expected mail.example.org | Put into zone.git: {MX}",
    ),
    "MX to another name": (
        Theme.MAIL,
        in_zone(MX, "example.org. MX 5 mx.old.example."),
        FAIL,
        "MX",
        "asked from the root down for MX of example.org: 5 mx.old.example; expected mail.example.org",
    ),
    "MX to a CNAME": (
        Theme.MAIL,
        in_zone(MX, "example.org. MX 5 mx.example.org.\nmx.example.org. CNAME mail.example.org."),
        FAIL,
        "MX",
        "an alias of mail.example.org (RFC 2181 §10.3)",
    ),
    "a second MX": (
        Theme.MAIL,
        in_zone(MX, f"{MX}\nexample.org. MX 20 mx.old.example."),
        WARN,
        "MX",
        "only mail.example.org is ours",
    ),
    "our name has another address": (
        Theme.MAIL,
        in_zone(f"mail.example.org. A {OURS}", f"mail.example.org. A {ELSEWHERE}"),
        FAIL,
        "address",
        f"expected {OURS}, {OURS_6}",
    ),
    "no SPF": (
        Theme.MAIL,
        in_zone(SPF, ""),
        FAIL,
        "SPF",
        f"no SPF record; expected one | Put into zone.git: {SPF}",
    ),
    "two SPF records": (
        Theme.MAIL,
        in_zone(SPF, f'{SPF}\nexample.org. TXT "v=spf1 a -all"'),
        FAIL,
        "SPF",
        "2 SPF records",
    ),
    "SPF without our address": (
        Theme.MAIL,
        in_zone(SPF, f'example.org. TXT "v=spf1 ip4:{ELSEWHERE} -all"'),
        FAIL,
        "SPF",
        f"says fail to {OURS}; expected pass",
    ),
    "broken SPF": (
        Theme.MAIL,
        in_zone(SPF, 'example.org. TXT "v=spf1 ipv4:192.0.2.10 -all"'),
        FAIL,
        "SPF",
        "a broken SPF record",
    ),
    "no SPF of HELO": (Theme.MAIL, in_zone(HELO, ""), FAIL, "SPF of HELO", "TXT of mail.example.org: no SPF"),
    "no DKIM record": (
        Theme.MAIL,
        without_key,
        FAIL,
        "DKIM",
        "no record; expected our public key | put what `ptt key",
    ),
    "another DKIM key": (Theme.MAIL, another_key, FAIL, "DKIM", "another key than the one that signs here"),
    "broken DKIM record": (Theme.MAIL, broken_key, FAIL, "DKIM", "a broken record: the key"),
    "no DMARC": (
        Theme.MAIL,
        in_zone(DMARC, ""),
        FAIL,
        "DMARC",
        f"no DMARC record | Put into zone.git: {DMARC}",
    ),
    "broken DMARC": (
        Theme.MAIL,
        in_zone(DMARC, '_dmarc.example.org. TXT "v=DMARC1; p=rejekt"'),
        FAIL,
        "DMARC",
        "no valid p=",
    ),
    "DMARC of none": (
        Theme.MAIL,
        in_zone("p=reject; aspf=s", "p=none; aspf=s"),
        WARN,
        "DMARC",
        "p=none refuses nothing",
    ),
    "no zone of the way back": (Theme.MAIL, without_srs, FAIL, "way back", "no such zone"),
    "the way back may be forged": (
        Theme.MAIL,
        in_zone("p=reject; psd=n", "p=reject", "srs.example.org"),
        FAIL,
        "way back",
        "without psd=n",
    ),
}


@pytest.mark.parametrize("theme", [Theme.DELEGATION, Theme.REVERSE, Theme.MAIL])
def test_a_healthy_domain_has_no_fault(pretend: Pretend, theme: Theme) -> None:
    findings = pretend.findings(theme)
    assert findings
    assert {finding.level for finding in findings} == {Level.OK}, findings


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(pretend: Pretend, fault: str) -> None:
    theme, plant, level, what, told = FAULTS[fault]
    sentence, _, mend = told.partition(" | ")
    plant(pretend)
    findings: list[Finding] = pretend.findings(theme)
    found = [each for each in findings if each.level == level and each.what == what]
    assert any(sentence in each.sentence and mend in each.mend for each in found), findings
    assert all(each.mend for each in found), found


def test_one_fault_does_not_make_others(pretend: Pretend) -> None:
    in_zone(MX, "example.org. MX 5 mx.old.example.")(pretend)
    fails = [each.what for each in pretend.findings(Theme.MAIL) if each.level is Level.FAIL]
    assert fails == ["MX", "SPF"]  # the policy "mx" names the MX


def test_records_are_seen_before_the_domain_is_delegated(pretend: Pretend) -> None:
    """Our own server is asked: what is wrong in the zone is told at once, not after the registrar."""
    at_top(DELEGATED, "")(pretend)
    assert {each.level for each in pretend.findings(Theme.MAIL)} == {Level.OK}
    in_zone(SPF, "")(pretend)
    [found] = [each for each in pretend.findings(Theme.MAIL) if each.level is Level.FAIL]
    assert found.sentence.startswith(f"asked our own name server at {OURS} for TXT of example.org")


def test_what_cannot_be_asked_is_no_fault(pretend: Pretend) -> None:
    without_service(pretend)
    findings = pretend.findings(Theme.MAIL)
    assert {each.level for each in findings} == {Level.WAIT}
    assert findings[0].sentence.endswith("no answer")


@pytest.mark.parametrize(("sends", "level"), [(False, Level.WARN), (True, FAIL)])
def test_ipv6_without_a_reverse_name(pretend: Pretend, sends: bool, level: Level) -> None:
    """Off by default; who has switched it on must not send by it."""
    pretend.config = replace(pretend.config, relay=RelayConfig(ipv6=sends))
    assert {each.level for each in pretend.findings(Theme.REVERSE)} == {Level.OK}
    in_arpa(".ip6.arpa. PTR mail.example.org.", '.ip6.arpa. TXT "none"')(pretend)
    assert [each.level for each in pretend.findings(Theme.REVERSE)] == [Level.OK, level]


def test_keys_that_cannot_be_read_are_no_second_fault(pretend: Pretend) -> None:
    pretend.config = replace(pretend.config, secrets="nowhere.toml")
    [found] = [each for each in pretend.findings(Theme.MAIL) if each.level is not Level.OK]
    assert (found.level, found.what) == (Level.WAIT, "DKIM")
