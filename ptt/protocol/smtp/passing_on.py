"""A reply that another unit gave, passed on as a reply of ours.

The next unit's words are ours already; still nothing of a wire is trusted but its first digit
(RFC 5321 §4.2.1): code and enhanced code of different classes, or no reply code at all, become 451. So do
replies that are about the talk between two units and not about the mail: 421 would close the channel to a
peer that has nothing to do with it, and a command that was not understood is a fault of ours.
"""

from ptt.protocol.smtp.reply import RemoteReply, Reply

ABOUT_THE_TALK = frozenset({421, 500, 502, 503, 530})  # RFC 5321 §4.2.2, RFC 3207 §4
DOUBT = "The service could not tell what became of this. Nothing was lost: please try again later."


def passed_on(remote: RemoteReply) -> Reply:
    """The same code, enhanced code and text where they are sound; doubt is temporary."""
    if remote.code in ABOUT_THE_TALK:
        return Reply(451, "4.3.0", DOUBT)
    text = remote.printable or ("",)
    if remote.is_completed or remote.is_permanent or 400 <= remote.code <= 499:  # noqa: PLR2004 - 4yz
        enhanced = remote.enhanced
        if enhanced is not None and enhanced[0] != str(remote.code)[0]:
            enhanced = f"{remote.code // 100}.0.0"
        return Reply(remote.code, enhanced, *text)
    return Reply(451, "4.3.0", DOUBT)
