"""Addresses, or all of a domain, in lists that operators write: ``send_as``, and ``senders`` of aliases.

Local parts are compared as ``local_part.fold`` does: it is the operator who entered them.
"""

from dataclasses import dataclass

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.address import Mailbox, parse_domain
from ptt.records.json_file import read_mailbox
from ptt.records.local_part import fold


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Every address of a domain: ``@example.org`` or ``*@example.org``."""

    domain: Name


AddressRule = Mailbox | AnyOf


def read_address_rule(text: str) -> AddressRule | Malformed:
    """Read an entry."""
    if text.startswith(("@", "*@")):
        domain = parse_domain(text.partition("@")[2])
        return domain if isinstance(domain, Malformed) else AnyOf(domain)
    return read_mailbox(text)


def address_rule_text(rule: AddressRule) -> str:
    """How an entry is written."""
    if isinstance(rule, AnyOf):
        return f"@{rule.domain}"
    text = rule.wire.decode("utf-8")
    # The mailbox whose local part is an asterisk must not become a right to the whole domain.
    return f'"*"{text[1:]}' if text.startswith("*@") else text


def covers(rule: AddressRule, mailbox: Mailbox) -> bool:
    """Whether the mailbox is the entry's, or of its domain."""
    if rule.domain != mailbox.domain:
        return False
    return isinstance(rule, AnyOf) or fold(rule.local_part) == fold(mailbox.local_part)
