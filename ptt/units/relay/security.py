"""What a connection to a server must fulfil before a message goes that way [R6, R7].

TLS is used whenever it is offered (RFC 3207, opportunistic by RFC 7435); whose mail has no right to go in
clear is refused where a server offers none, and waits where the handshake fails. SMTPUTF8 and 8BITMIME are
asked for only where the bytes need them, since the next server but one may lack them (RFC 6531 §3.1, RFC
6152 §3); a lack of what is needed is a refusal in the session: nothing is converted, since that would break
the author's signatures.
"""

from dataclasses import dataclass, replace

from ptt.protocol.mail.address import Mailbox
from ptt.protocol.smtp.commands import Mail
from ptt.protocol.smtp.events import BodyType, MailParameters
from ptt.protocol.smtp.extensions import Extensions, Keyword
from ptt.protocol.smtp.reply import Reply

NO_TLS = Reply(
    550,
    "5.7.10",
    "The recipient's mail server offers no encryption, and this account may not send without it.",
    "Nothing was sent. The operator can allow it for the account.",
)
TLS_BROKE = Reply(
    451,
    "4.7.5",
    "Encryption with the recipient's mail server failed, and this account may not send without it.",
    "Nothing was sent. Please try again later.",
)
NO_UTF8 = Reply(550, "5.6.7", "The recipient's mail server does not take addresses or headers outside ASCII.")
NO_EIGHT_BIT = Reply(
    550, "5.6.3", "The recipient's mail server does not take 8-bit text. Please send it encoded."
)
TOO_LARGE = Reply(552, "5.3.4", "The message is larger than the recipient's mail server takes.")

_LACKS = {
    Keyword.SMTPUTF8: NO_UTF8,
    Keyword.EIGHTBITMIME: NO_EIGHT_BIT,
    Keyword.SIZE: TOO_LARGE,
}


def lack_reply(keyword: Keyword) -> Reply:
    """The refusal of mail that needs what a server does not offer."""
    return _LACKS[keyword]


@dataclass(frozen=True, slots=True)
class Envelope:
    """What MAIL towards a server depends on.

    ``declares_eight_bit``: the client said BODY=8BITMIME, which is asked for where it is offered;
    ``eight_bit`` and ``utf8_header``: the bytes are so, known when they are here. ``size``: declared, then
    real, with what we put in front; None when nobody said.
    """

    reverse_path: Mailbox | None
    declares_eight_bit: bool = False
    eight_bit: bool = False
    utf8_header: bool = False
    size: int | None = None

    def mail(self, extensions: Extensions, recipients: tuple[Mailbox, ...]) -> Mail | Keyword:
        """The command for these recipients, or what the server would have to offer."""
        reverse_path = None if self.reverse_path is None else for_wire(self.reverse_path)
        utf8 = self.utf8_header or any(
            mailbox is not None and not mailbox.is_ascii for mailbox in (reverse_path, *recipients)
        )
        limit = extensions.size_limit
        if utf8 and not extensions.offers(Keyword.SMTPUTF8):
            return Keyword.SMTPUTF8
        if self.eight_bit and not extensions.offers(Keyword.EIGHTBITMIME):
            return Keyword.EIGHTBITMIME
        if self.size is not None and limit is not None and self.size > limit:
            return Keyword.SIZE
        is_asked = (self.eight_bit or self.declares_eight_bit) and extensions.offers(Keyword.EIGHTBITMIME)
        body = BodyType.EIGHT_BIT_MIME if is_asked else None
        return Mail(reverse_path, MailParameters(size=self.size, body=body, smtputf8=utf8))

    def with_bytes(self, *, header_is_ascii: bool, body_is_ascii: bool, size: int | None) -> "Envelope":
        """The envelope now that the bytes are known. A UTF-8 header is 8-bit text too (RFC 6531 §3.6)."""
        return replace(
            self,
            eight_bit=not (header_is_ascii and body_is_ascii),
            utf8_header=not header_is_ascii,
            size=self.size if size is None else size,
        )


def for_wire(mailbox: Mailbox) -> Mailbox:
    """The mailbox in ASCII where that says the same.

    A U-label has its A-label (RFC 5891), a local part has not.
    """
    if mailbox.is_ascii or not mailbox.local_part.isascii():
        return mailbox
    return replace(mailbox, wire=mailbox.canonical())
