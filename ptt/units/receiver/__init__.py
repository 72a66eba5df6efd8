"""Takes mail from the Internet, judges whom it is from, and answers only when it is delivered.

In:     port 25, STARTTLS offered (RFC 5321, 3207).
Out:    the spam filter, by LMTP over pinned TLS; the resolver; dns_primary, where its certificate comes from;
        nowhere else.
Holds:  its TLS key or the seed of it, a TSIG key. Never sees: users, passwords, DKIM keys.
RCPT is a short question to the relay, so that an unknown user is refused in the sender's session. The message
is judged whole (SPF, DKIM, DMARC), stamped, and only then handed on; forged results in our name are taken
out.
"""
