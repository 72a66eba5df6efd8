"""The name server of our zones: answers the Internet, takes certificate requests of units, hands zones on.

In:     anybody, port 53, UDP and TCP; units with a TSIG key on a private port, by TLS with pins.
Out:    secondaries and letsencrypt, by NOTIFY; the Git host with its zones, and the resolver for that.
Holds:  TSIG keys, an SSH key. Never sees: mail, users, keys of certificates.
What units change lives in memory and goes to the next generation by way of the host; zone files come from
``zone.git``, or with the boot record. RFC 1034, 1035, 1995, 1996, 2136, 2181, 2308, 4592, 5936, 6672, 6891,
7766, 8482, 8945.
"""
