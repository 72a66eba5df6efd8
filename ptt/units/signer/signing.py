"""What the signer decides: which keys, and what stands in front of the message when it goes on.

Pure; takes a message as the buffers it came in and gives the fields to prepend. A message that cannot be
signed gets a 4yz [N9]: not sent unsigned, and not refused for good, as the mend may be ours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ptt.errors import Malformed
from ptt.protocol.dns.name import Name
from ptt.protocol.mail.header import Header, split_header
from ptt.protocol.mail.message import author_mailboxes
from ptt.protocol.mailauth.dkim.canonicalization import BodyHash
from ptt.protocol.mailauth.dkim.keys import SigningKey
from ptt.protocol.mailauth.dkim.signing import SigningPolicy, SigningRefused, sign
from ptt.protocol.smtp.reply import Reply
from ptt.units.signer.settings import keys_for


@dataclass(frozen=True, slots=True)
class Unsigned:
    """Why there is no signature, for the journal, and what the sender is told."""

    reason: str
    reply: Reply


def sign_message(
    buffers: Sequence[bytes], keys: Sequence[SigningKey], policy: SigningPolicy, now: int
) -> tuple[bytes, ...] | Unsigned:
    """Give one DKIM-Signature field for each key of the author's domain, or say why there is none."""
    split = split_header(buffers)
    if isinstance(split, Malformed):
        return _unsigned(split.reason)
    header, body = split
    chosen = keys_for(keys, _author_domains(header))
    if not chosen:
        return _unsigned("no key for the author's domain")
    body_hash = BodyHash(policy.body_canonicalization, policy.hash_algorithm)
    for buffer in body:
        body_hash.update(buffer)
    fields = sign(header, body_hash.digest(), chosen, policy, now)
    if isinstance(fields, SigningRefused):
        return _unsigned(fields.reason)
    return tuple(fields)


def _author_domains(header: Header) -> tuple[Name, ...]:
    authors = author_mailboxes(header)
    if isinstance(authors, Malformed):
        return ()
    return tuple(mailbox.domain for mailbox in authors if isinstance(mailbox.domain, Name))


def _unsigned(reason: str) -> Unsigned:
    return Unsigned(
        reason, Reply(451, "4.7.5", f"The message could not be signed ({reason}), so it was not sent.")
    )
