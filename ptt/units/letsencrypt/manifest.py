"""What letsencrypt may do, and who may call it."""

from ptt.manifest import INTERNET, Call, CallKind, Channel, Listen, Manifest, Overlap, Secret

MANIFEST = Manifest(
    name="letsencrypt",
    purpose="gets certificates for our hosts",
    listens=(Listen("notify", 853, Channel.NOTIFY, ("dns_primary",)),),
    calls=(
        Call("dns_primary", Channel.DNS_UPDATE, CallKind.NOTICE),
        Call("dns_resolver", Channel.DNS_OVER_TLS, CallKind.LOOKUP),
        Call(INTERNET, Channel.HTTPS, CallKind.NOTICE, ports=(443,)),
    ),
    secrets=frozenset({Secret.ACME_ACCOUNT_KEY, Secret.TSIG_KEY}),
    memory_mb=96,
    overlap=Overlap.EXCLUSIVE,
)
