"""What the resolver may do, and who may call it."""

from ptt.manifest import INTERNET, Call, CallKind, Channel, Listen, Manifest

MANIFEST = Manifest(
    name="dns_resolver",
    purpose="resolves names from the roots, for the other units",
    listens=(
        Listen(
            "dns",
            853,
            Channel.DNS_OVER_TLS,
            ("relay", "receiver", "submission", "dns_primary", "letsencrypt"),
        ),
    ),
    calls=(Call(INTERNET, Channel.DNS, CallKind.LOOKUP, ports=(53,)),),
    secrets=frozenset(),
    memory_mb=128,
)
