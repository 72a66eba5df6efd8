"""What the relay may do, and who may call it."""

from ptt.manifest import GIT_PORTS, INTERNET, Call, CallKind, Channel, Listen, Manifest, Secret

MANIFEST = Manifest(
    name="relay",
    purpose="brings mail to the servers of its recipients",
    listens=(Listen("hop", 2424, Channel.LMTP, ("signer", "spam_filter")),),
    calls=(
        Call(INTERNET, Channel.SMTP, CallKind.HOP, ports=(25, 465, 587)),
        Call("dns_resolver", Channel.DNS_OVER_TLS, CallKind.LOOKUP),
        Call(INTERNET, Channel.GIT, CallKind.LOOKUP, ports=GIT_PORTS),
    ),
    secrets=frozenset({Secret.LEDGER_KEY, Secret.SMARTHOST_PASSWORD, Secret.SRS_KEYS, Secret.SSH_KEY}),
    memory_mb=64,
)
