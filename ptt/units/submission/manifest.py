"""What submission may do, and who may call it."""

from ptt.manifest import GIT_PORTS, INTERNET, Call, CallKind, Channel, Listen, Manifest, Secret

MANIFEST = Manifest(
    name="submission",
    purpose="takes mail from the domain's own users, after a login",
    listens=(
        Listen("submissions", 465, Channel.SUBMISSIONS, (INTERNET,)),
        Listen("submission", 587, Channel.SUBMISSION, (INTERNET,)),
    ),
    calls=(
        Call("signer", Channel.LMTP, CallKind.HOP),
        Call("dns_resolver", Channel.DNS_OVER_TLS, CallKind.LOOKUP),
        Call(INTERNET, Channel.GIT, CallKind.LOOKUP, ports=GIT_PORTS),
        Call("dns_primary", Channel.DNS_UPDATE, CallKind.NOTICE),
    ),
    secrets=frozenset(
        {Secret.TLS_KEY, Secret.CERTIFICATE_SEED, Secret.TSIG_KEY, Secret.VERIFIERS, Secret.SSH_KEY}
    ),
    memory_mb=64,
)
