"""What the name server may do, and who may call it.

Units that request certificates get a private listener ``update`` (``Channel.DNS_UPDATE``) with the first of
them that calls; the service knows it already.
"""

from ptt.manifest import INTERNET, Call, CallKind, Channel, Listen, Manifest, Overlap, Secret

MANIFEST = Manifest(
    name="dns_primary",
    purpose="serves our zones",
    listens=(
        Listen("dns", 53, Channel.DNS, (INTERNET,)),
        Listen("dns_udp", 53, Channel.DNS, (INTERNET,), transport="udp"),
    ),
    calls=(Call(INTERNET, Channel.NOTIFY, CallKind.NOTICE, ports=(53,)),),
    secrets=frozenset({Secret.TSIG_KEYS}),
    memory_mb=96,
    overlap=Overlap.EXCLUSIVE,
)
