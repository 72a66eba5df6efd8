"""How long everything may take after the end of the data (docs/how-it-works.md).

The nearest edges outside are mail programs that give up after 60 s (Outlook classic, Delta Chat) and send
again. Our clocks start when we read the end of the data, theirs when they wrote it; so the outermost unit
answers after 45 s at the latest, and each unit further in a little earlier, that the truth can come out.
"""

CONNECT_TIMEOUT_S = 8.0  # per address; families are raced
DATA_TAKEN_S = 25.0  # by then every target must have taken the whole message, or all are aborted
RELAY_ANSWER_S = 42.0
SIGNER_ANSWER_S = 43.5
SPAM_FILTER_ANSWER_S = 43.5  # stands where the signer does on the way out
EDGE_ANSWER_S = 45.0
LATE_VERDICT_S = 600.0  # RFC 5321 §4.5.3.2.6: how long a target's session is kept to learn its answer
RECIPIENT_TIMEOUT_S = 60.0  # for the remote's verdict on RCPT; clients wait 5 minutes there (§4.5.3.2.3)
EOD_WRITE_TIMEOUT_S = 180.0  # RFC 5321 §4.5.3.2.5: for each piece of the message towards the next hop

STREAM_ABOVE_OCTETS = 1_000_000  # submission and relay pass larger messages on while they come in
