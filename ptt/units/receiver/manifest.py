"""What the receiver may do, and who may call it."""

from ptt.manifest import INTERNET, Call, CallKind, Channel, Listen, Manifest, Secret

MANIFEST = Manifest(
    name="receiver",
    purpose="takes mail from the Internet and judges whom it is from",
    listens=(Listen("smtp", 25, Channel.SMTP, (INTERNET,)),),
    calls=(
        Call("spam_filter", Channel.LMTP, CallKind.HOP),
        Call("dns_resolver", Channel.DNS_OVER_TLS, CallKind.LOOKUP),
        Call("dns_primary", Channel.DNS_UPDATE, CallKind.NOTICE),
    ),
    secrets=frozenset({Secret.TLS_KEY, Secret.CERTIFICATE_SEED, Secret.TSIG_KEY}),
    memory_mb=64,
)
