"""DomainKeys Identified Mail: signing and verifying (RFC 6376, RFC 8301, RFC 8463)."""
