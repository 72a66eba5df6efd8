"""SRS: whom a bounce goes back to, and what is nobody's."""

import pytest

from ptt.errors import Malformed, MisuseError
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, mailbox, make_mailbox
from ptt.protocol.mail.srs import (
    AHEAD_STEPS,
    LIFE_STEPS,
    SHORT_TAG,
    STEP_S,
    STEPS,
    Expired,
    Original,
    Rewritten,
    Short,
    SrsKeys,
    restore,
    rewrite,
)

NOW = 1_800_000_000.0
DOMAIN = Name.of("srs.mirage.example")
KEYS = SrsKeys((b"one",))
BOB = mailbox("Bob@remote.example")


def rewritten(sender: Mailbox, now: float = NOW, keys: SrsKeys = KEYS) -> Mailbox:
    made = rewrite(sender, DOMAIN, keys, now)
    assert not made.is_short
    return made.mailbox


def local(text: str) -> Mailbox:
    made = make_mailbox(text, DOMAIN)
    assert isinstance(made, Mailbox)
    return made


def test_a_sender_is_led_back() -> None:
    made = rewritten(BOB)

    prefix, mark, step, host, local_part = made.local_part.split("=")
    assert (prefix, host, local_part) == ("SRS0", "remote.example", "Bob")
    assert (len(mark), len(step)) == (6, 2)
    assert made.domain == DOMAIN
    assert restore(made, KEYS, NOW) == Original(BOB)


@pytest.mark.parametrize(
    "sender", ["a=b=c@remote.example", '"a b"@remote.example', "bob@[192.0.2.1]", "jörg@remote.example"]
)
def test_any_mailbox_is_led_back(sender: str) -> None:
    assert restore(rewritten(mailbox(sender)), KEYS, NOW) == Original(mailbox(sender))


def test_servers_that_fold_case_do_no_harm() -> None:
    made = rewritten(BOB)

    assert restore(local(made.local_part.lower()), KEYS, NOW) == Original(mailbox("bob@remote.example"))
    assert restore(local(made.local_part.upper()), KEYS, NOW) == Original(mailbox("BOB@remote.example"))


def test_the_address_stays_for_greylisting_and_expires() -> None:
    start = NOW // STEP_S * STEP_S
    made = rewritten(BOB, start)

    assert rewritten(BOB, start + STEP_S - 1) == made
    assert rewritten(BOB, start + STEP_S) != made
    assert restore(made, KEYS, start + (LIFE_STEPS + 1) * STEP_S - 1) == Original(BOB)
    assert restore(made, KEYS, start + (LIFE_STEPS + 1) * STEP_S) == Expired()
    assert restore(made, KEYS, start - AHEAD_STEPS * STEP_S) == Original(BOB)
    assert restore(made, KEYS, start - AHEAD_STEPS * STEP_S - 1) == Expired()
    assert restore(made, KEYS, start + STEPS * STEP_S) == Original(BOB)  # the names of steps come again


def test_a_previous_key_still_verifies() -> None:
    made = rewritten(BOB)

    assert restore(made, SrsKeys((b"two", b"one")), NOW) == Original(BOB)
    assert restore(made, SrsKeys((b"two",)), NOW) == Malformed("the mark does not fit")
    assert rewritten(BOB, keys=SrsKeys((b"two", b"one"))) != made
    with pytest.raises(MisuseError):
        SrsKeys(())


@pytest.mark.parametrize("separator", "=+-")
def test_what_a_forwarder_wrote_goes_back_to_it(separator: str) -> None:
    theirs = mailbox(f"SRS0{separator}abcd=Z6=home.example=carol@forwarder.example")
    made = rewritten(theirs)

    assert made.local_part.startswith("SRS1=")
    assert made.local_part.endswith(f"=forwarder.example={separator}abcd=Z6=home.example=carol")
    assert restore(made, KEYS, NOW + 100 * STEP_S) == Original(theirs)
    assert restore(local(made.local_part.lower()), KEYS, NOW) == Original(
        mailbox(f"SRS0{separator}abcd=z6=home.example=carol@forwarder.example")
    )


def test_a_third_forwarder_does_not_make_it_longer() -> None:
    second = mailbox("srs1=xyz9=forwarder.example==abcd=Z6=home.example=carol@second.example")

    assert restore(rewritten(second), KEYS, NOW) == Original(
        mailbox("SRS0=abcd=Z6=home.example=carol@forwarder.example")
    )


def test_an_address_of_ours_is_not_wrapped_again() -> None:
    made = rewritten(BOB)

    assert rewritten(made) == made
    assert rewritten(made, NOW + 100 * STEP_S).local_part.startswith(
        "SRS1="
    )  # expired: whose it is does not matter


def test_what_does_not_fit_has_a_short_form_of_its_own() -> None:
    senders = [mailbox(f"{'a' * 60}{number}@remote.example") for number in (1, 2)]
    one, two = (rewrite(each, DOMAIN, KEYS, NOW) for each in senders)

    assert one.is_short
    assert one != two
    assert rewrite(senders[0], DOMAIN, KEYS, NOW + 50 * STEP_S) == one
    assert restore(one.mailbox, KEYS, NOW) == Short()
    assert restore(local(one.mailbox.local_part.lower()), SrsKeys((b"two", b"one")), NOW) == Short()
    assert restore(one.mailbox, SrsKeys((b"two",)), NOW) == Malformed("no such address")
    longest = mailbox(f"{'a' * 34}@remote.example")
    assert rewrite(longest, DOMAIN, KEYS, NOW) == Rewritten(rewritten(longest))
    with pytest.raises(MisuseError):
        rewrite(senders[0], Name.of(".".join(["d" * 60] * 4)), KEYS, NOW)


@pytest.mark.parametrize(
    "local_part",
    [
        "alice",
        "SRS0",
        "SRS0=AAAAAA=AA=remote.example=bob",
        "SRS0+AAAAAA=AA=remote.example=bob",
        "SRS0=ß=AA=remote.example=bob",
        "SRS1=AAAAAA=remote.example==AAAA=AA=a=b",
        f"{SHORT_TAG}=AAAAAAAAAAAAAAAA=AAAAAA",
    ],
)
def test_what_we_did_not_write_is_nobodys(local_part: str) -> None:
    assert isinstance(restore(local(local_part), KEYS, NOW), Malformed)


def test_an_address_of_one_domain_is_none_of_another() -> None:
    made = make_mailbox(rewritten(BOB).local_part, Name.of("srs.other.example"))
    assert isinstance(made, Mailbox)

    assert restore(made, KEYS, NOW) == Malformed("the mark does not fit")


def test_a_forwarder_without_a_sound_domain_is_led_nowhere() -> None:
    broken = mailbox("SRS1=x=not+a+domain==abcd=Z6=home.example=carol@second.example")

    assert isinstance(restore(rewritten(broken), KEYS, NOW), Malformed)
