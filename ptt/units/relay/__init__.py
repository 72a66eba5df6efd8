"""Brings a message to the servers of its recipients, and says for each recipient what they answered.

In:     the signer and the spam filter, by LMTP over pinned TLS.
Out:    mail servers of the Internet, port 25 (or the operator's smarthost); the resolver; the Git host with
        its users.
Holds:  the users' targets, the keys of SRS and ledger, the smarthost's password, an SSH key.
Never sees: DKIM keys, passwords of users.
The signer may name anybody, the spam filter only our domains and bounces to our own envelope senders [R12].
For users of ours it opens the remote transactions at RCPT, in parallel, so that the remote's own verdict is
known before the data (RFC 5321 §3.3), and gives the end of data only when all have taken the data. What
strangers send is answered from the user list, and targets are asked when the message is here. The ledger
keeps what became of each message, so that a retry makes no second copy.
"""
