"""SRS: whatever sender is rewritten is led back, and no local part gives anything but a defined result."""

from hypothesis import given
from hypothesis import strategies as st

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import MAX_LOCAL_PART_OCTETS, AddressLiteral, Mailbox, make_mailbox
from ptt.protocol.mail.srs import Expired, Original, Short, SrsKeys, restore, rewrite

KEYS = SrsKeys((b"new", b"old"))
OLD_KEYS = SrsKeys((b"old",))
DOMAIN = Name.of("srs.mirage.example")
STAMPS = st.floats(0, 4e9)
WORDS = st.sampled_from(
    ["SRS0", "srs1", "SRS-LONG", "=", "==", "+", "-", "AAAAAA", "AA", "a.example", "bob", "[192.0.2.1]", "ü"]
)
LOCAL_PARTS = st.lists(WORDS, max_size=9).map("".join) | st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=64
)
DOMAINS = st.from_regex(r"[a-z0-9]{1,9}(\.[a-z]{2,9}){1,3}", fullmatch=True).map(Name.of)
SENDERS = st.builds(make_mailbox, LOCAL_PARTS, DOMAINS | st.ip_addresses().map(AddressLiteral)).filter(
    lambda made: isinstance(made, Mailbox)
)


@given(SENDERS, STAMPS)
def test_senders_are_led_back(sender: Mailbox, now: float) -> None:
    made = rewrite(sender, DOMAIN, OLD_KEYS, now)
    assert len(made.mailbox.wire.partition(b"@srs.")[0]) <= MAX_LOCAL_PART_OCTETS
    back = restore(made.mailbox, KEYS, now)
    if made.is_short:
        assert back == Short()
    elif sender.local_part[:4].upper() not in {"SRS0", "SRS1"}:
        assert back == Original(sender)
    else:
        assert isinstance(back, Original | Malformed)
    assert (
        rewrite(made.mailbox, DOMAIN, OLD_KEYS, now) == made or made.is_short or "SRS1" in str(made.mailbox)
    )


@given(LOCAL_PARTS, STAMPS)
def test_any_address_is_judged(local_part: str, now: float) -> None:
    mailbox = make_mailbox(local_part, DOMAIN)
    if isinstance(mailbox, Mailbox):
        assert isinstance(restore(mailbox, KEYS, now), Original | Expired | Short | Malformed)
