"""What a message is made of: addresses, header fields, trace fields, dates (RFC 5321, 5322, 6532)."""
