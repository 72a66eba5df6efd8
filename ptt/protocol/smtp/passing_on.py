"""A reply that another unit gave, passed on as a reply of ours.

The next unit's words are ours already; still nothing of a wire is trusted but its first digit
(RFC 5321 §4.2.1): code and enhanced code of different classes, or no reply code at all, become 451.
"""

from ptt.protocol.smtp.reply import RemoteReply, Reply

DOUBT = "The service could not tell what became of this. Nothing was lost: please try again later."


def passed_on(remote: RemoteReply) -> Reply:
    """The same code, enhanced code and text where they are sound; doubt is temporary."""
    text = remote.printable or ("",)
    if remote.is_completed or remote.is_permanent or 400 <= remote.code <= 499:  # noqa: PLR2004 - 4yz
        enhanced = remote.enhanced
        if enhanced is not None and enhanced[0] != str(remote.code)[0]:
            enhanced = f"{remote.code // 100}.0.0"
        return Reply(remote.code, enhanced, *text)
    return Reply(451, "4.3.0", DOUBT)
