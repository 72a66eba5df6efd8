"""Authenticated Received Chain: what hops before us found, sealed by each (RFC 8617)."""
