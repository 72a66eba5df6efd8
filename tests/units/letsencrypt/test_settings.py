"""Settings and keys are read strictly, and a reason never shows a key."""

import base64
from typing import Any

import dns.message
import dns.opcode
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.acme.steps import ChallengeRecord
from ptt.protocol.dns.name import Name
from ptt.records.keys import private_pem
from ptt.units.letsencrypt.challenges import challenge_rrset
from ptt.units.letsencrypt.notices import Heard, answer_notice
from ptt.units.letsencrypt.settings import PRODUCTION, STAGING, Idle, Told, read_told

SECRET = base64.b64encode(b"0123456789abcdef").decode()
TSIG = f"le._update.mirage.org:SHA256:{SECRET}"
P256 = private_pem(ec.generate_private_key(ec.SECP256R1()))
ZONES = (Name.of("mirage.org"),)


def told(account: str = P256, tsig: str = TSIG, **values: Any) -> Told | Idle | Malformed:
    return read_told({"zones": ["mirage.org"], **values}, account, tsig)


def test_defaults_and_choices() -> None:
    found = told(email="a@mirage.org")
    assert isinstance(found, Told)
    assert (found.directory, found.zones, found.contact) == (PRODUCTION, ZONES, ("mailto:a@mirage.org",))
    assert SECRET not in repr(found)
    staging = told(production=False, zones=["mirage.org", "MIRAGE.org."])
    assert isinstance(staging, Told)
    assert (staging.directory, staging.contact, staging.zones) == (STAGING, (), ZONES)
    own = told(directory="https://ca.example/dir", production=False)
    assert isinstance(own, Told)
    assert own.directory == "https://ca.example/dir"


def test_keys_of_all_kinds() -> None:
    assert isinstance(told(private_pem(rsa.generate_private_key(65537, 2048))), Told)
    assert isinstance(told("the seed of an account", account_key_bits=2048), Told)
    everywhere = f"le._update:SHA256:{SECRET}"
    assert isinstance(told(tsig=everywhere, zones=["mirage.org", "example.org"]), Told)


def test_without_zones_no_keys_are_wanted() -> None:
    assert read_told({}, "", "") == Idle()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"strange": 1}, "strange"),
        ({"zones": [".."]}, "zones: '..'"),
        ({"directory": "http://ca.example/"}, "directory"),
        ({"retry_s": 0}, "above zero"),
        ({"settle_s": -1}, "above zero"),
        ({"account": ""}, "ACME account key"),
        ({"account": "-----BEGIN PRIVATE KEY-----\nsecret"}, "ACME account key"),
        ({"tsig": "le._update.mirage.org:SHA256"}, "tsig_key"),
        ({"tsig": f"le._update.example.org:SHA256:{SECRET}"}, "may not change mirage.org"),
        ({"tsig": f"le._transfer.mirage.org:SHA256:{SECRET}"}, "may not change mirage.org"),
    ],
)
def test_what_is_refused(values: dict[str, Any], reason: str) -> None:
    found = told(**values)
    assert isinstance(found, Malformed)
    assert reason in found.reason
    assert SECRET not in found.reason


def test_a_challenge_is_one_string() -> None:
    rrset = challenge_rrset(ChallengeRecord(Name.of("_acme-challenge.a.org"), "text"))
    assert [rdata.to_text() for rdata in rrset.rdatas] == ['"text"']


def notify(zone: str, opcode: int = dns.opcode.NOTIFY) -> bytes:
    message = dns.message.make_query(zone, "SOA", id=7)
    message.set_opcode(dns.opcode.Opcode(opcode))
    return message.to_wire()


def test_notices() -> None:
    for wire, is_news, rcode in (
        (notify("MIRAGE.org"), True, "NOERROR"),
        (notify("example.org"), False, "NOTAUTH"),
        (notify("mirage.org", dns.opcode.QUERY), False, "REFUSED"),
    ):
        heard = answer_notice(wire, ZONES)
        answer = dns.message.from_wire(heard.messages[0])
        assert heard.is_news is is_news
        assert (dns.rcode.to_text(answer.rcode()), answer.id) == (rcode, 7)
        assert answer_notice(heard.messages[0], ZONES) == Heard()


@given(st.binary())
def test_anything_may_come(wire: bytes) -> None:
    assert not answer_notice(wire, ZONES).is_news
