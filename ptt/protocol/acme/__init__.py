"""ACME (RFC 8555) without the network: what an authority says, signed requests, one order end to end."""
