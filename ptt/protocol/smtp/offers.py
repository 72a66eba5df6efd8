"""Reads what a server offers in its answer to EHLO or LHLO (RFC 5321 §4.1.1.1).

Lenient: a keyword said twice has the parameters of both lines, ``AUTH=PLAIN LOGIN`` of servers older than RFC
4954 is AUTH, lines without a keyword are passed over. The reply has been bounded by ``reply_reader``.
"""

from ptt.protocol.smtp.extensions import Extensions, Keyword
from ptt.protocol.smtp.reply import RemoteReply

_OLD_AUTH = f"{Keyword.AUTH}="


def read_offer(reply: RemoteReply) -> Extensions:
    """Give the offer in a 250 reply: the server's name in the first line, a keyword in each other."""
    name = reply.text[0].split()[:1]
    keywords: dict[str, tuple[str, ...]] = {}
    for line in reply.text[1:]:
        words = _without_old_form(line).split()
        if words:
            keyword = words[0].upper()
            keywords[keyword] = (*keywords.get(keyword, ()), *words[1:])
    return Extensions("".join(name), keywords)


def _without_old_form(line: str) -> str:
    if line.upper().startswith(_OLD_AUTH):
        return f"{Keyword.AUTH} {line[len(_OLD_AUTH) :]}"
    return line
