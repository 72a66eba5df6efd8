"""What the signer may do, and who may call it."""

from ptt.manifest import Call, CallKind, Channel, Listen, Manifest, Secret

MANIFEST = Manifest(
    name="signer",
    purpose="signs every message of the domain (DKIM)",
    listens=(Listen("hop", 2424, Channel.LMTP, ("submission",)),),
    calls=(Call("relay", Channel.LMTP, CallKind.HOP),),
    secrets=frozenset({Secret.DKIM_KEYS}),
    memory_mb=64,
)
