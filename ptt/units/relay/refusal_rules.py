"""What the refusals of the large receivers really mean: a table, read from the top, the first match counts.

The code says whether a server thinks that it may change its mind; what a refusal is about stands in the
enhanced code (RFC 3463, RFC 7372) and in words and marks that every operator has of his own. Classes and
sources: specs/receivers.md, sections 3 and 4. A refusal that matches nothing is taken at its word.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from ptt.protocol.smtp.attempt import Stage


class RefusalClass(StrEnum):
    """What a refusal is about, and so who can do something."""

    MESSAGE = "message"  # this message or mailbox: for its author to know
    SOON = "soon"  # passes within seconds or minutes
    GREYLISTED = "greylisted"  # passes in five minutes to hours, for the same sender from the same address
    ABOUT_US = "about us"  # our address, name, DNS or reputation, until the operator acts
    RATE = "rate"  # passes when we slow down, gets worse when we do not


M, S, G, U, R = RefusalClass


@dataclass(frozen=True, slots=True)
class Rule:
    """One row. What is None matches anything; patterns of codes are whole, the others are searched for.

    ``forwarded``: the class where the author is a stranger whose mail we pass on (by our envelope), if it is
    another one.
    """

    refusal_class: RefusalClass
    code: re.Pattern[str]
    enhanced: re.Pattern[str] | None = None
    words: re.Pattern[str] | None = None
    host: re.Pattern[str] | None = None
    stages: frozenset[Stage] | None = None
    forwarded: RefusalClass | None = None


def _rule(
    refusal_class: RefusalClass,
    code: str = "...",
    enhanced: str | None = None,
    words: str | None = None,
    *,
    host: str | None = None,
    stages: frozenset[Stage] | None = None,
    forwarded: RefusalClass | None = None,
) -> Rule:
    return Rule(
        refusal_class,
        re.compile(code),
        None if enhanced is None else re.compile(enhanced),
        None if words is None else re.compile(words, re.IGNORECASE),
        None if host is None else re.compile(rf"(?:^|\.)(?:{host})\.?$", re.IGNORECASE),
        stages,
        forwarded,
    )


_TEMPORARY = "4.."
_PERMANENT = "5.."

_GOOGLE = r"google\.com|googlemail\.com"
_OUTLOOK = r"olc\.protection\.outlook\.com"
_MICROSOFT = r"protection\.outlook\.com|mx\.microsoft"
_ICLOUD = r"icloud\.com"
_GMX = r"gmx\.[a-z]+|web\.de|mail\.com|kundenserver\.de"

_BEFORE_MAIL = frozenset({Stage.GREETING, Stage.HELLO, Stage.TLS, Stage.LOGIN})

_GOOGLE_RULES = (
    # Authentication (RFC 7372 and Google's own numbers): our domains are signed by us, a stranger's mail is
    # not.
    _rule(U, enhanced=r"[45]\.7\.(?:27|29)", host=_GOOGLE),  # SPF of our envelope; TLS
    _rule(U, enhanced=r"[45]\.7\.(?:26|30|31|32|40)", host=_GOOGLE, forwarded=M),
    _rule(U, "50[13]", r"5\.5\.[14]", host=_GOOGLE),  # HELO
    _rule(U, "421", r"4\.7\.0", r"closing connection|whitelist", host=_GOOGLE),
    _rule(U, "55.", r"5\.7\.1", r"IPv6|not authorized to send", host=_GOOGLE),
    _rule(G, "45[02]", r"4\.2\.[12]", host=_GOOGLE),  # full, or receives too quickly
)

_MICROSOFT_RULES = (
    _rule(U, "451", r"4\.7\.65[01]"),  # a new or quiet address: for days, or until its form was filled in
    _rule(R, "421", None, r"\bRP-00[123]\b"),
    _rule(U, _PERMANENT, None, r"\b(?:SC|DY|OU)-00\d\b"),
    _rule(U, "...", None, r"\((?:S\d{3,4})\)", host=_OUTLOOK),
    _rule(U, _PERMANENT, r"5\.7\.(?:506|51[013]|60[6-9]|6[1-4]\d)"),  # HELO, banned, no IPv6, block lists
    _rule(U, _PERMANENT, None, r"\(AS160126\d\d\)"),
    _rule(R, _PERMANENT, r"5\.7\.508"),  # too much from our IPv6 range
    _rule(U, _PERMANENT, r"5\.7\.5(?:09|15)", forwarded=M),  # DMARC; SPF, DKIM and DMARC for large senders
    _rule(M, _PERMANENT, r"5\.4\.1", r"AS\(201806281\)|access denied|recipient addresses rejected"),
    _rule(G, "451", r"4\.7\.(?:[56]\d\d|8[5-9]\d)"),
    _rule(G, "451", None, r"\((?:AS777\d+|S777\d+)\)"),
)

_YAHOO_RULES = (
    _rule(U, _PERMANENT, None, r"\[(?:TSS?\d\d|IPTS\d\d|BL\d\d)\]"),
    _rule(R, _TEMPORARY, None, r"\[(?:TSS?\d\d|IPTS\d\d)\]"),
    _rule(U, "...", None, r"unresolvable RFC\.5321 from domain"),  # the envelope's, which is ours: no SOA
    _rule(U, "...", None, r"unresolvable RFC\.5322 from domain", forwarded=M),
    _rule(U, _PERMANENT, r"5\.7\.9", r"unauthenticated", forwarded=M),
    _rule(S, "421", None, r"max messages? per connection"),
)

_ICLOUD_RULES = (
    _rule(R, _TEMPORARY, None, r"\[(?:HCM\d+|BS02)\]"),
    _rule(R, "421", r"4\.7\.[01]", r"excessive volume|too many errors"),
    _rule(U, _TEMPORARY, r"4\.(?:7\.1|1\.8)", r"host not found|domain not found"),
    _rule(R, "451", r"4\.7\.1", host=_ICLOUD),
    _rule(M, _PERMANENT, None, r"\[(?:CS|HM|HME|BS)\d+\]"),
)

_GMX_RULES = (
    _rule(U, "550", None, r"SPF policy|invalid DNS MX"),  # of our envelope's domain
    _rule(U, "450", host=_GMX),  # HELO has changed
    _rule(R, "4(?:21|51)", host=_GMX),
)

_OTHER_RULES = (
    _rule(U, _PERMANENT, None, r"LPN\d+_1\d\d"),  # La Poste: address
    _rule(U, _PERMANENT, None, r"LPN\d+_4\d\d", forwarded=M),  # DKIM
    _rule(R, "...", None, r"\bIB(?:007|510)\b"),  # GoDaddy: sessions, messages in one
    _rule(R, "421", None, r"\(G2\)"),  # Rackspace
    _rule(G, "451", None, r"internal resource temporarily unavailable"),  # Mimecast's first contact
    _rule(G, _TEMPORARY, None, r"gr[ae]y-?list"),  # postgrey and many
    _rule(S, _TEMPORARY, None, r"verification in progress"),  # Postfix, Proofpoint
    _rule(U, "...", None, r"sender verify failed|sender verify callout"),  # Exim could not ask our port 25
    _rule(U, _PERMANENT, None, r"synchroni[sz]ation error|protocol error"),  # Exim; postscreen
    _rule(U, _PERMANENT, r"5\.3\.2", r"service currently unavailable"),  # postscreen: on a block list
    _rule(R, _TEMPORARY, None, r"too many (?:concurrent )?(?:connections|errors|messages|sessions)"),
)

_GENERAL_RULES = (
    # The mailbox and the message, by RFC 3463; before all words, since reasons are quoted there, too.
    _rule(M, _PERMANENT, r"5\.(?:1\.(?:[0-7]|10)|2\.\d+|3\.4|4\.(?:6|14)|6\.\d+)"),
    _rule(M, _PERMANENT, None, r"relay(?:ing)? (?:access )?(?:denied|not permitted)|does not accept mail"),
    _rule(M, "...", None, r"\b(?:s?uri?bl|surbl|dbl)\b"),  # an address within the message is listed
    # Authentication and reputation (RFC 7372, RFC 7293; 28 is "mail flood").
    _rule(R, "...", r"[45]\.7\.28"),
    _rule(U, "...", r"[45]\.7\.2[3457]"),  # SPF of the envelope, PTR, null MX of the sender
    _rule(U, "...", r"[45]\.7\.2[0126]", forwarded=M),
    _rule(U, "...", r"[45]\.1\.8"),  # the sender's domain
    _rule(U, "...", None, r"\bDMARC\b", forwarded=M),
    _rule(U, "53[0-8]|523", None, None),  # RFC 4954 §6, RFC 3207 §4: asked of us, not of the author
    _rule(U, "...", None, r"\bTLS required\b|must issue (?:a )?STARTTLS"),
    _rule(
        U,
        "...",
        None,
        r"spamhaus|spamcop|barracudacentral|sorbs|uceprotect|\b(?:dns|r)bl\b|(?:block|black) ?list"
        r"|\bbanned\b|blocked using|\bblocked - see\b|reputation",
    ),
    _rule(U, "...", None, r"\bPTR\b|reverse (?:dns|hostname)|\brdns\b|\b(?:helo|ehlo)\b"),
    _rule(U, _PERMANENT, None, r"not accepting connections|no smtp service|service not available"),
    _rule(G, "451", r"4\.7\.1", r"try again"),  # rspamd, and others that say no more
    # Nothing of the message has been said yet, so it cannot be about the message.
    _rule(U, _PERMANENT, stages=_BEFORE_MAIL),
)

RULES = (
    *_GOOGLE_RULES,
    *_MICROSOFT_RULES,
    *_YAHOO_RULES,
    *_ICLOUD_RULES,
    *_GMX_RULES,
    *_OTHER_RULES,
    *_GENERAL_RULES,
)
