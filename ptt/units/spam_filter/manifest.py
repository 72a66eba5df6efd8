"""What the spam filter may do, and who may call it."""

from ptt.manifest import Call, CallKind, Channel, Listen, Manifest

MANIFEST = Manifest(
    name="spam_filter",
    purpose="labels mail from the Internet as spam or not",
    listens=(Listen("hop", 2424, Channel.LMTP, ("receiver",)),),
    calls=(Call("relay", Channel.LMTP, CallKind.HOP),),
    secrets=frozenset(),
    memory_mb=96,
)
