"""Units for the tests of the host: they obey words on a line, and call each other."""
