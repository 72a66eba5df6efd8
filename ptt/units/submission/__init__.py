"""Takes mail from the domain's own users and answers only when it is delivered.

In:     port 465 (implicit TLS, RFC 8314) and 587 (STARTTLS, RFC 6409), after a login (RFC 4954).
Out:    the signer, by LMTP over pinned TLS; dns_primary, where its certificate comes from; the Git host with
        its users and the resolver for that; nowhere else.
Holds:  its TLS key or the seed of it, a TSIG key, the users' verifiers. Never sees: DKIM keys, any other way
        to the Internet.
Checks: the login, who may send as whom (MAIL FROM and From), sizes and numbers; adds Date and Message-ID
where they are missing (RFC 6409 §8). RCPT is answered by whoever knows: the question goes through signer and
relay to the recipient's own server, and its verdict comes back before the client sends a byte of the message.
"""
