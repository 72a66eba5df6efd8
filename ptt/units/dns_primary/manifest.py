"""What the name server may do, and who may call it."""

from ptt.manifest import INTERNET, Call, CallKind, Channel, Listen, Manifest, Overlap, Secret

MANIFEST = Manifest(
    name="dns_primary",
    purpose="serves our zones",
    listens=(
        Listen("dns", 53, Channel.DNS, (INTERNET,)),
        Listen("dns_udp", 53, Channel.DNS, (INTERNET,), transport="udp"),
        Listen("update", 853, Channel.DNS_UPDATE, ("submission", "receiver", "letsencrypt")),
    ),
    calls=(
        Call(INTERNET, Channel.NOTIFY, CallKind.NOTICE, ports=(53,)),
        Call("letsencrypt", Channel.NOTIFY, CallKind.NOTICE),
    ),
    secrets=frozenset({Secret.TSIG_KEYS}),
    memory_mb=96,
    overlap=Overlap.EXCLUSIVE,
)
