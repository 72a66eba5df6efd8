"""What the name server may do, and who may call it."""

from ptt.manifest import INTERNET, Call, CallKind, Channel, Listen, Manifest, Overlap, Secret

MANIFEST = Manifest(
    name="dns_primary",
    purpose="serves our zones",
    listens=(
        Listen("dns", 53, Channel.DNS, (INTERNET,)),
        Listen("dns_udp", 53, Channel.DNS, (INTERNET,), transport="udp"),
        Listen("update", 8530, Channel.DNS_UPDATE, ("letsencrypt", "receiver", "submission")),
    ),
    calls=(Call(INTERNET, Channel.NOTIFY, CallKind.NOTICE, ports=(53,)),),
    secrets=frozenset({Secret.TSIG_KEYS}),
    memory_mb=96,
    overlap=Overlap.EXCLUSIVE,
)
