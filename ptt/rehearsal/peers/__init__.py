"""Other people's programs, started for a rehearsal: real mail servers as the far ends."""
