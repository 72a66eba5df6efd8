"""Labels every message from the Internet as spam or not, and hands it to the relay. It blocks nothing.

In:     the receiver, by LMTP over pinned TLS.
Out:    the relay, by LMTP over pinned TLS; nowhere else.
Holds:  its model, given with the boot record. Never sees: a resolver, keys, users; keeps nothing.
In front of the message come X-Spamtacus (yes, no, unknown) and X-Spamtacus-Score (0.000 ham to 1.000 spam);
what a sender wrote under these names is taken out. Mail that cannot be read passes as unknown.
"""
