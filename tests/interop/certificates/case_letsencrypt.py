"""The unit letsencrypt among real programs: a request put by nsupdate comes back as a certificate."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from ptt.rehearsal.internet.acme_authority import Fault
from ptt.rehearsal.site import run

CONTACT = "mailto:hostmaster@mirage.org"
MakeRequest = Callable[..., tuple[bytes, ec.EllipticCurvePrivateKey]]


def pem(der: bytes, path: Path) -> str:
    path.write_bytes(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM))
    return str(path)


def served(stage: Any, make_request: MakeRequest, host: str, *names: str) -> bytes:
    """Ask for a certificate and wait for it."""
    der, _ = make_request(host, *names)
    stage.request(host, der)
    leaf: bytes = stage.wait(lambda: stage.leaf(host))
    return leaf


def test_a_request_becomes_a_certificate(stage: Any, make_request: MakeRequest, tmp_path: Path) -> None:
    der, key = make_request("mail.mirage.org", "www.mail.mirage.org")
    stage.request("mail.mirage.org", der)
    leaf = stage.wait(lambda: stage.leaf("mail.mirage.org"))
    found = stage.records("mail.mirage.org")
    assert found[3, 255, 0] == [der], "the request stays"
    issuers = found[0, 0, 0]
    assert len(issuers) == 1

    leaf_file, issuer_file = pem(leaf, tmp_path / "leaf"), pem(issuers[0], tmp_path / "issuer")
    anchor = str(stage.anchor)
    verified = run(
        "openssl", "verify", "-x509_strict", "-verify_hostname", "mail.mirage.org", "-CAfile", anchor,
        "-untrusted", issuer_file, leaf_file,
    )  # fmt: skip
    assert verified.code == 0, verified.output
    text = run("openssl", "x509", "-in", leaf_file, "-noout", "-ext", "subjectAltName").output
    assert "DNS:mail.mirage.org" in text
    assert "DNS:www.mail.mirage.org" in text
    own = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert run("openssl", "x509", "-in", leaf_file, "-noout", "-pubkey").output == own

    stage.wait(lambda: "ANSWER: 0" in stage.dig("_acme-challenge.mail.mirage.org", "TXT"))
    assert stage.dig("+short", "_acme-challenge.www.mail.mirage.org", "TXT") == ""
    assert stage.authority.accounts_of(CONTACT) == 1


def test_neither_restart_nor_deployment_makes_an_order(stage: Any, make_request: MakeRequest) -> None:
    served(stage, make_request, "kept.mirage.org")
    before = len(stage.authority.orders)
    stage.background.call(killed(stage, "letsencrypt"))
    for unit in ("letsencrypt", "dns_primary", "letsencrypt"):
        stage.replace(unit)
    served(stage, make_request, "after.mirage.org")
    assert len(stage.authority.orders) == before + 1, "one for the new host, none for those before"
    assert stage.authority.accounts_of(CONTACT) == 1, "the account is known by its key"


def test_an_order_under_way_is_finished_by_the_generation_that_began_it(
    stage: Any, make_request: MakeRequest
) -> None:
    stage.authority.plan(Fault("slow", "/challenge", seconds=2))
    stage.request("handed.mirage.org", make_request("handed.mirage.org")[0])
    stage.wait(lambda: stage.orders_for("handed.mirage.org"))
    stage.replace("letsencrypt")
    assert stage.wait(lambda: stage.leaf("handed.mirage.org"))
    served(stage, make_request, "next.mirage.org")
    assert stage.orders_for("handed.mirage.org") == 1, "its successor waits until it is done"


async def killed(stage: Any, unit: str) -> None:
    number = stage.host.units[unit].last_number
    stage.host.kill(unit, signal.SIGKILL)
    # The host tells nobody of a start.
    while stage.host.units[unit].last_number == number or stage.host.units[unit].published is None:  # noqa: ASYNC110
        await asyncio.sleep(0.01)


def test_several_zones_by_one_key_and_none_of_them_names_us(stage: Any, make_request: MakeRequest) -> None:
    served(stage, make_request, "mail.island.org")
    for zone in ("mirage.org", "island.org"):
        assert stage.dig("+short", zone, "NS").split() == ["ns1.mirage.org."]
    assert any("a zone cannot be read: missing.org" in line for line in stage.alarms)


def test_what_is_wrong_is_told_and_not_ordered(stage: Any, make_request: MakeRequest) -> None:
    before = len(stage.authority.orders)
    first, second = (make_request("two.mirage.org")[0] for _ in range(2))
    stage.request("two.mirage.org", first, second)
    stage.request("greedy.mirage.org", make_request("greedy.mirage.org", "mail.mirage.org")[0])
    stage.request("noise.mirage.org", b"not a request")
    told = stage.wait(lambda: [line for line in stage.alarms if "noise" in line] and stage.alarms)
    assert any("no certificate for two.mirage.org: 2 requests" in line for line in told)
    assert any("names mail.mirage.org, which is not at or below greedy.mirage.org" in line for line in told)
    assert len(stage.authority.orders) == before
    stage.request("two.mirage.org", second)
    assert stage.wait(lambda: stage.leaf("two.mirage.org"))


def test_bad_days_of_the_authority(stage: Any, make_request: MakeRequest) -> None:
    stage.authority.plan(
        Fault("badNonce", "/order"),
        Fault("busy", "/finalize", seconds=1),
        Fault("slow", "/challenge", seconds=1),
    )
    served(stage, make_request, "busy.mirage.org")
    assert stage.orders_for("busy.mirage.org") == 1

    stage.authority.plan(Fault("rateLimited", "/order", seconds=2))
    served(stage, make_request, "limited.mirage.org")
    assert any("limited.mirage.org: the authority's limit" in line for line in stage.alarms)

    stage.authority.plan(Fault("invalid", "/challenge"))
    served(stage, make_request, "unlucky.mirage.org")
    assert any("the authorization of unlucky.mirage.org is invalid" in line for line in stage.alarms)
    assert stage.orders_for("unlucky.mirage.org") == 2
    assert "ANSWER: 0" in stage.dig("_acme-challenge.unlucky.mirage.org", "TXT")


def test_an_authority_that_is_down_for_a_while(stage: Any, make_request: MakeRequest) -> None:
    stage.background.call(stage.server.close())
    der, _ = make_request("patient.mirage.org")
    stage.request("patient.mirage.org", der)
    stage.wait(lambda: [line for line in stage.alarms if "patient.mirage.org: the authority cannot" in line])
    stage.background.call(stage.server.serve())
    assert stage.wait(lambda: stage.leaf("patient.mirage.org"))
    assert stage.orders_for("patient.mirage.org") == 1


def test_a_third_of_the_life_before_the_end_comes_the_next(stage: Any, make_request: MakeRequest) -> None:
    stage.authority.lifetime = type(stage.authority.lifetime)(seconds=9)
    first = served(stage, make_request, "short.mirage.org")
    stage.authority.lifetime = type(stage.authority.lifetime)(days=90)
    second = stage.wait(lambda: (leaf := stage.leaf("short.mirage.org")) != first and leaf)
    old, new = (x509.load_der_x509_certificate(each) for each in (first, second))
    assert old.public_key() == new.public_key(), "renewal keeps the key"
    assert new.not_valid_before_utc < old.not_valid_after_utc, "in time"
    assert len(stage.records("short.mirage.org")[3, 0, 0]) == 1
    assert stage.orders_for("short.mirage.org") == 2


def test_the_authority_may_want_it_earlier(stage: Any, make_request: MakeRequest) -> None:
    """RFC 9773: a window in the past is now; the new order names what it replaces."""
    stage.authority.hurried.add("hurried.mirage.org")
    first = served(stage, make_request, "hurried.mirage.org")
    stage.wait(lambda: stage.orders_for("hurried.mirage.org") == 2)
    stage.authority.hurried.clear()
    second = stage.wait(lambda: (leaf := stage.leaf("hurried.mirage.org")) != first and leaf)
    assert second
    renewal = [order for order in stage.authority.orders if "hurried.mirage.org" in order.names][1]
    assert "." in renewal.replaces
