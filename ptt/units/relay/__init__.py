"""Brings a message to the servers of its recipients, and says for each recipient what they answered.

In:     the signer, by LMTP over pinned TLS.
Out:    mail servers of the Internet, port 25 (or the operator's smarthost).
Holds:  the ledger's key, the smarthost's password. Never sees: DKIM keys, passwords of users.
Opens the remote transactions at RCPT, in parallel, so that the remote's own verdict is known before the data
(RFC 5321 §3.3); gives the end of data only when all have taken the data; keeps in its ledger what became of
each message, so that a retry makes no second copy.
"""
