"""SMTP (RFC 5321) and LMTP (RFC 2033): grammar, replies and both sides of the dialogue, sans-IO."""
