"""Runs units: starts them, feeds them their control stream, restarts them. Knows nothing of mail."""
