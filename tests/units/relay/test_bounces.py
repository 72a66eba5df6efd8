"""Bounces to envelope senders of our own making."""

from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import mailbox
from ptt.protocol.mail.srs import STEP_S, SrsKeys
from ptt.units.relay.bounces import (
    MAX_QUESTIONS_A_MINUTE,
    MINUTE_S,
    NO_SUCH_SENDER,
    NOT_A_BOUNCE,
    NOT_LED_BACK,
    TOO_MANY_BOUNCES,
    Bounces,
    SrsDomains,
)

NOW = 1_800_000_000.0
BOB = mailbox("bob@remote.example")
ALIAS = mailbox("alice@other.example")
MIRAGE, OTHER = Name.of("mirage.example"), Name.of("other.example")
SRS, OTHER_SRS = Name.of("srs.mirage.example"), Name.of("srs.other.example")


def bounces() -> Bounces:
    return Bounces(SrsKeys((b"key",)), SrsDomains({MIRAGE: SRS, OTHER: OTHER_SRS}, SRS))


def test_the_envelope_sender_is_in_the_aliass_srs_domain_and_leads_back() -> None:
    given = bounces()
    made = given.sender(BOB, ALIAS, NOW).mailbox

    assert made.domain == OTHER_SRS
    assert given.sender(BOB, mailbox("postmaster@mail.mirage.example"), NOW).mailbox.domain == SRS
    assert given.sender(BOB, mailbox("a@[192.0.2.1]"), NOW).mailbox.domain == SRS
    assert given.domains.has(made)
    assert not given.domains.has(ALIAS)
    assert given.lead_back(made, None, NOW) == BOB


def test_only_sound_bounces_are_led_back() -> None:
    given = bounces()
    made = given.sender(BOB, ALIAS, NOW).mailbox
    short = given.sender(mailbox(f"{'a' * 60}@remote.example"), ALIAS, NOW).mailbox

    assert given.lead_back(made, BOB, NOW) == NOT_A_BOUNCE
    assert given.lead_back(made, None, NOW + 20 * STEP_S) == NO_SUCH_SENDER
    assert (
        given.lead_back(mailbox("SRS0=AAAAAA=AA=a.example=b@srs.mirage.example"), None, NOW) == NO_SUCH_SENDER
    )
    assert given.lead_back(short, None, NOW) == NOT_LED_BACK


def test_how_many_are_asked_for_is_bounded() -> None:
    given = bounces()
    made = given.sender(BOB, ALIAS, NOW).mailbox
    answers = [given.lead_back(made, None, NOW + 1) for _ in range(MAX_QUESTIONS_A_MINUTE + 1)]

    assert answers == [*[BOB] * MAX_QUESTIONS_A_MINUTE, TOO_MANY_BOUNCES]
    assert given.lead_back(made, None, NOW + MINUTE_S) == TOO_MANY_BOUNCES
    assert given.lead_back(made, None, NOW + 1 + MINUTE_S) == BOB
    assert given.lead_back(made, None, NOW) == BOB  # a clock that was set back holds nobody up
