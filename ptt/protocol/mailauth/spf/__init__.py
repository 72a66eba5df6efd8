"""Sender Policy Framework: may this address send for that domain? (RFC 7208)."""
