"""Signs every message of the domain, by RSA and Ed25519 together, and hands it to the relay.

In:     submission, by LMTP over pinned TLS.
Out:    the relay, by LMTP over pinned TLS; nowhere else.
Holds:  the DKIM keys. Never sees: users, passwords, any way to or from the Internet.
A message that cannot be signed is answered 4yz and goes nowhere (RFC 6376, 8301, 8463).
"""
