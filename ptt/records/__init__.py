"""The forms that we store: user files, verifiers, keys, journal lines. Pure."""
