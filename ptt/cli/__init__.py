"""The command ``ptt``."""
