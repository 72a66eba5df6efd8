"""PTT: a complete mail service for a domain that accepts only what is delivered."""
