"""What the name server may do, and who may call it."""

from ptt.manifest import GIT_PORTS, INTERNET, Call, CallKind, Channel, Listen, Manifest, Overlap, Secret

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
        Call(INTERNET, Channel.GIT, CallKind.LOOKUP, ports=GIT_PORTS),
        Call("dns_resolver", Channel.DNS_OVER_TLS, CallKind.LOOKUP),
        Call("letsencrypt", Channel.NOTIFY, CallKind.NOTICE),
    ),
    secrets=frozenset({Secret.TSIG_KEYS, Secret.SSH_KEY}),
    memory_mb=96,
    overlap=Overlap.EXCLUSIVE,
)
