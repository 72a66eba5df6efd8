"""Gets certificates for our hosts: what they ask for in the zone, an authority issues (RFC 8555).

In:     dns_primary, which says that a zone has changed (RFC 1996), on the private network.
Out:    dns_primary (zones by IXFR, updates by TSIG), dns_resolver, the authority (HTTPS, port 443).
Holds:  the account's key, a TSIG key. Never sees: mail, users, private keys of certificates.
It is a secondary that nobody asks: it reads all TLSA records at ``_letsencrypt._tcp.HOST``, answers the
authority's challenges by TXT records at ``_acme-challenge.NAME`` and puts certificates beside the requests.
What it has to wait for after failures goes to the next generation by way of the host; nothing else is kept.
"""
