"""What a unit may ask of the relay, by the certificate that it shows [R12].

The relay alone is no open relay: whoever is behind a connection, only the signer may name any domain; the
spam filter, through which strangers speak, only domains of ours and bounces to our own envelope senders.
"""

from enum import StrEnum

from ptt.protocol.smtp.reply import Reply

NOT_ALLOWED = Reply(550, "5.7.1", "This peer may not send mail here.")
NOT_OURS = Reply(550, "5.7.1", "Mail for this domain is not taken here.")


class Rights(StrEnum):
    """Whom a unit may send to."""

    ANYBODY = "anybody"
    OURS = "ours"


_RIGHTS = {"signer": Rights.ANYBODY, "spam_filter": Rights.OURS}


def rights_of(caller: str | None) -> Rights | None:
    """The rights of the unit behind a connection; None: it has none."""
    return None if caller is None else _RIGHTS.get(caller)
