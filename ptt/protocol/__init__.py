"""What the RFCs say: pure code without sockets, clock or randomness."""
