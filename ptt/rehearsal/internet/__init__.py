"""The pretend Internet.

Remote domains with mail servers of different manners, and people who write from there.
"""
