"""Answers the questions of other units, from the roots of the DNS down, without anybody's help.

In:     relay, receiver, submission, dns_primary and letsencrypt, by DNS over TLS (RFC 7858) with pins.
Out:    name servers of the Internet, port 53, UDP and TCP.
Holds:  nothing but its link key. Never sees: mail, users, keys.
Every question is answered, in the end with SERVFAIL; names of private networks never leave (RFC 6303).
RFC 1034, 1035, 2308, 5452, 6891, 7766, 8020, 9156, 9520.
"""
