"""Git repositories without a working copy, without files: fetch one branch's head, commit and push.

Built on dulwich (protocol and objects) over our own connections: SSH by paramiko on a connected socket, web
servers, git-daemon, or a stream that the host gives. What blocks runs in threads of its own; each step has a
time-out and each answer a size.
"""
