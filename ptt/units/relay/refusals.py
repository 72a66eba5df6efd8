"""What a server's refusal is about, and how it is told to the one who sends [R9, R20].

Only what is about the message or the mailbox may be permanent for our client; whatever is about us, our pace
or the moment is temporary, whatever code the server used: 451 4.7.1 (specs/receivers.md section 7). The first
and the last line are our sentence with address and reason, as programs show the one or the other
(specs/clients.md section 8); the server's own words stand between, in printable ASCII. Nothing of them is
trusted or repeated beyond a bound.
"""

import re
from collections.abc import Iterable

from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.attempt import Stage
from ptt.protocol.smtp.reply import RemoteReply, Reply
from ptt.units.relay.refusal_rules import RULES, RefusalClass, Rule

GREYLISTED_S = 300  # what postgrey and most others ask for (specs/receivers.md section 4)
MAX_WAIT_S = 6 * 3600  # a longer hint is no hint
MAX_QUOTED_LINES = 12  # GMX and Google write up to six
MAX_QUOTED_CHARACTERS = 300  # of one line; a line of ours has 512 octets (RFC 5321 §4.5.3.1.5)
MAX_NAMED_CHARACTERS = 120  # of an address or a host in our sentence

REFUSED_BEHIND = "The mailbox behind this address does not take the message."
LATER_BEHIND = "The mailbox behind this address does not take the message now. Please try again later."
ASKS_TO_WAIT = "The mailbox behind this address takes mail from new senders after some time only."
NOT_FROM_US = "The mailbox behind this address takes nothing from this service now. Please try again later."

_HINT = re.compile(r"(?:in|for|after|within)\s+(\d{1,5})\s*(s|sec|min|hour)", re.IGNORECASE)
_UNIT_S = {"s": 1, "sec": 1, "min": 60, "hour": 3600}

# Replies about the session or a command, which our client never gave to that server: said of a recipient
# they would make it close, log in again or give up the account.
_OF_THE_SESSION = frozenset({421, 500, 502, 503, 504, 521, 523, 530, 534, 535, 538})

_NOT_NOW = {
    RefusalClass.SOON: "cannot take it now. Please send it again in some minutes",
    RefusalClass.RATE: "takes no more from this service for now. Please send it again later",
    RefusalClass.ABOUT_US: (
        "does not trust this service at present. The operator has to mend that. Please send it again later"
    ),
}

_REASONS = (
    (re.compile(r"[45]\.1\.(?:1|10)"), "there is no such mailbox"),
    (re.compile(r"[45]\.1\.[23]"), "the address does not exist"),
    (re.compile(r"[45]\.2\.1"), "the mailbox is switched off or busy"),
    (re.compile(r"[45]\.2\.2"), "the mailbox is full"),
    (re.compile(r"[45]\.(?:2\.3|3\.4)"), "the message is too large"),
    (re.compile(r"[45]\.4\.(?:6|14)"), "the message goes round in circles"),
    (re.compile(r"[45]\.7\.\d+"), "it may not be delivered there"),
)


def classify(
    host: str, reply: RemoteReply, *, stage: Stage | None = None, is_forwarded: bool = False
) -> RefusalClass:
    """Say what a refusal is about.

    ``host``: the server's name. ``stage``: where it was said, None if not known. ``is_forwarded``: the author
    is a stranger, so what his mail lacks is his. What no rule knows is taken at its word.
    """
    text = " ".join(reply.text)
    for rule in RULES:
        if _matches(rule, host, reply, text, stage):
            return rule.forwarded if is_forwarded and rule.forwarded else rule.refusal_class
    return RefusalClass.MESSAGE if reply.is_permanent else RefusalClass.SOON


def _matches(rule: Rule, host: str, reply: RemoteReply, text: str, stage: Stage | None) -> bool:
    return (
        rule.code.fullmatch(str(reply.code)) is not None
        and (rule.enhanced is None or rule.enhanced.fullmatch(reply.enhanced or "") is not None)
        and (rule.stages is None or stage in rule.stages)
        and (rule.host is None or rule.host.search(host) is not None)
        and (rule.words is None or rule.words.search(text) is not None)
    )


def waiting_time_s(reply: RemoteReply) -> int:
    """How long a server that greylists wants us to wait, from its words or as most do."""
    match = _HINT.search(" ".join(reply.text))
    if match is None:
        return GREYLISTED_S
    return min(max(int(match[1]) * _UNIT_S[match[2].lower()], 1), MAX_WAIT_S)


def for_submission(
    host: str,
    reply: RemoteReply,
    mailbox: Mailbox,
    *,
    stage: Stage | None = None,
    is_forwarded: bool = False,
) -> Reply:
    """Word a server's refusal in its own words, for who sends to ``mailbox``."""
    refusal_class = classify(host, reply, stage=stage, is_forwarded=is_forwarded)
    sentence = _sentence(refusal_class, host, reply, mailbox)
    quoted = _quoted(host, reply)
    if refusal_class is RefusalClass.ABOUT_US or (
        reply.is_permanent and refusal_class is not RefusalClass.MESSAGE
    ):
        return Reply(451, "4.7.1", sentence, *quoted, sentence)
    return Reply(*_codes(reply), sentence, *quoted, sentence)


def for_stranger(
    host: str, reply: RemoteReply, *, stage: Stage | None = None, is_forwarded: bool = False
) -> Reply:
    """Word a server's refusal for who knows an address of ours only: the code and our own sentence."""
    match classify(host, reply, stage=stage, is_forwarded=is_forwarded):
        case RefusalClass.GREYLISTED:
            return Reply(451, "4.7.1", f"{ASKS_TO_WAIT} Please try again in about {_minutes(reply)}.")
        case RefusalClass.ABOUT_US | RefusalClass.RATE:
            return Reply(451, "4.7.1", NOT_FROM_US)
        case RefusalClass.MESSAGE if reply.is_permanent:
            return Reply(*_codes(reply), REFUSED_BEHIND)
        case RefusalClass.MESSAGE | RefusalClass.SOON:
            return (
                Reply(451, "4.7.1", LATER_BEHIND)
                if reply.is_permanent
                else Reply(*_codes(reply), LATER_BEHIND)
            )


def _minutes(reply: RemoteReply) -> str:
    minutes = -(-waiting_time_s(reply) // 60)
    return f"{minutes} minute{'s' if minutes > 1 else ''}"


def _codes(reply: RemoteReply) -> tuple[int, str]:
    """The server's codes where they can be said of a recipient, and agree; else what is general."""
    permanent = reply.is_permanent
    digit = "5" if permanent else "4"
    code = reply.code if 400 <= reply.code <= 599 else 451  # noqa: PLR2004 - 4yz and 5yz
    if code in _OF_THE_SESSION:
        code = 554 if permanent else 451
    enhanced = reply.enhanced
    return code, enhanced if enhanced is not None and enhanced.startswith(digit) else f"{digit}.0.0"


def _sentence(refusal_class: RefusalClass, host: str, reply: RemoteReply, mailbox: Mailbox) -> str:
    who, server = _shown(_ascii(mailbox)), _shown(host)
    if refusal_class is RefusalClass.MESSAGE:
        return _refused(who, server, reply)
    if refusal_class is RefusalClass.GREYLISTED:
        what = f"asks to wait. Please send it again in about {_minutes(reply)}"
    else:
        what = _NOT_NOW[refusal_class]
    return f"Mail to <{who}> was not delivered: its server {server} {what}. Nothing was lost."


def _refused(who: str, server: str, reply: RemoteReply) -> str:
    enhanced = reply.enhanced or ""
    reason = next((words for pattern, words in _REASONS if pattern.fullmatch(enhanced)), None)
    what = f"says that {reason}" if reason else "refused it for the reason it gives"
    if reply.is_permanent:
        return f"Mail to <{who}> was not delivered: its server {server} {what}."
    return f"Mail to <{who}> was not delivered: its server {server} {what}. Please send it again later."


def _quoted(host: str, reply: RemoteReply) -> Iterable[str]:
    enhanced = f" {reply.enhanced}" if reply.enhanced else ""
    yield f"{_shown(host)} said: {reply.code}{enhanced}"
    for line in reply.printable[:MAX_QUOTED_LINES]:
        if line.strip():
            yield line[:MAX_QUOTED_CHARACTERS]


def _ascii(mailbox: Mailbox) -> str:
    domain = mailbox.domain.text if isinstance(mailbox.domain, Name) else f"[{mailbox.domain.address}]"
    return f"{mailbox.local_part}@{domain}"


def _shown(text: str) -> str:
    """Printable ASCII of a bounded length."""
    clean = "".join(char if char.isascii() and char.isprintable() else "?" for char in text)
    return clean if len(clean) <= MAX_NAMED_CHARACTERS else f"{clean[: MAX_NAMED_CHARACTERS - 3]}..."
