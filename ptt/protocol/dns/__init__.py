"""The domain name system: names, records and the question that everybody asks (RFC 1034, 1035)."""
