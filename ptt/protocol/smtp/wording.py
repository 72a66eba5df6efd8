"""What the server's dialogue says by itself: every reply that needs no decision of a unit, under its name.

Whole sentences in ASCII, each with an enhanced status code (RFC 2034, 3463) but for the greeting, the
answers to EHLO and HELO, and 3yz. Nothing here repeats what the peer sent, so no reply can be made to carry
foreign words.
"""

from ptt.protocol.smtp.lines import LineFault
from ptt.protocol.smtp.reply import Reply

# 2yz and 3yz
RESET = Reply(250, "2.0.0", "The transaction is reset.")
NOTHING_DONE = Reply(250, "2.0.0", "Here we are.")
NOTED = Reply(250, "2.0.0", "Noted.")
CANNOT_VERIFY = Reply(252, "2.5.2", "Users are not verified here; RCPT will tell.")
HELP = Reply(214, "2.0.0", "This server speaks RFC 5321; EHLO tells its extensions.")
GOODBYE = Reply(221, "2.0.0", "Goodbye.")
START_TLS = Reply(220, "2.0.0", "Go ahead with TLS.")
ANALYSIS_STARTED = Reply(353, None, "Content analysis has started.")  # draft-hall-prdr-00

# Command lines
UNKNOWN_COMMAND = Reply(500, "5.5.1", "There is no such command here.")
LINE_TOO_LONG = Reply(500, "5.5.2", "The line is too long.")
LINE_ENDLESS = Reply(500, "5.5.2", "The line does not end; closing the connection.")
BARE_LINE_END = Reply(500, "5.5.2", "A command line ends with CR LF; bare CR and bare LF are refused.")
CONTROL_CHARACTER = Reply(500, "5.5.2", "A command line holds no control characters.")
NOT_UTF8 = Reply(500, "5.5.2", "The command line is not UTF-8.")
LINE_FAULT = {
    LineFault.BARE_LINE_END: BARE_LINE_END,
    LineFault.CONTROL_CHARACTER: CONTROL_CHARACTER,
    LineFault.NOT_UTF8: NOT_UTF8,
    LineFault.TOO_LONG: LINE_TOO_LONG,
    LineFault.ENDLESS: LINE_ENDLESS,
}
NOT_IMPLEMENTED = Reply(502, "5.5.1", "This command is not offered here.")
NOT_A_WEB_SERVER = Reply(502, "5.5.1", "This is a mail server and does not speak HTTP.")
NO_ARGUMENT = Reply(501, "5.5.4", "This command takes no argument.")
BAD_CLIENT_NAME = Reply(501, "5.5.4", "Give a domain name or an address literal.")
BAD_TAKEN = Reply(501, "5.5.4", "Give TAKEN and one or more trace ids.")

# Order
HELLO_FIRST = Reply(503, "5.5.1", "Introduce yourself first (EHLO, HELO or LHLO).")
MAIL_FIRST = Reply(503, "5.5.1", "There is no transaction: MAIL comes first.")
MAIL_TWICE = Reply(503, "5.5.1", "A transaction is open already.")
NO_RECIPIENTS = Reply(503, "5.5.1", "There is no valid recipient.")
NOT_IN_TRANSACTION = Reply(503, "5.5.1", "Not within a transaction.")
CHUNKS_BEGUN = Reply(503, "5.5.1", "The message has begun: only BDAT goes on with it.")
RESET_FIRST = Reply(503, "5.5.1", "The message was refused: RSET comes first.")
ONLY_QUIT = Reply(503, "5.5.1", "No service here: please QUIT.")
DATA_TOO_EARLY = Reply(503, "5.5.0", "The message was sent before 354; closing the connection.")
COMMANDS_BEHIND_STARTTLS = Reply(554, "5.5.1", "Nothing may follow STARTTLS; closing the connection.")

# TLS and login
TLS_FIRST = Reply(530, "5.7.0", "Must issue a STARTTLS command first.")
TLS_TWICE = Reply(503, "5.5.1", "TLS is in use already.")
LOGIN_FIRST = Reply(530, "5.7.0", "Authentication required.")
LOGIN_NEEDS_TLS = Reply(538, "5.7.11", "Encryption is required for a login: STARTTLS comes first.")
LOGGED_IN_ALREADY = Reply(503, "5.5.1", "You are logged in already.")
UNKNOWN_MECHANISM = Reply(504, "5.5.4", "This authentication mechanism is not offered.")
BAD_RESPONSE = Reply(501, "5.5.2", "The authentication response cannot be read.")
LOGIN_CANCELLED = Reply(501, "5.7.0", "The login was cancelled.")
WRONG_CREDENTIALS = Reply(535, "5.7.8", "The login name or the password is wrong.")
LOGGED_IN = Reply(235, "2.7.0", "You are logged in.")

# MAIL and RCPT
BAD_MAIL = Reply(501, "5.5.4", "The form is MAIL FROM:<address>.")
BAD_RCPT = Reply(501, "5.5.4", "The form is RCPT TO:<address>.")
BAD_REVERSE_PATH = Reply(501, "5.1.7", "The sender's address is malformed.")
BAD_FORWARD_PATH = Reply(501, "5.1.3", "The recipient's address is malformed.")
REVERSE_PATH_NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "The sender's address is not ASCII: SMTPUTF8 is needed.")
FORWARD_PATH_NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "The recipient's address is not ASCII: SMTPUTF8 is needed.")
BAD_PARAMETER = Reply(501, "5.5.4", "A parameter is malformed or given twice.")
UNKNOWN_PARAMETER = Reply(555, "5.5.4", "A parameter is not known or not offered here.")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "Too many recipients; send the message to these separately.")

# The message
TOO_LARGE = Reply(552, "5.3.4", "The message is larger than this server takes.")
BARE_LINE_END_IN_MESSAGE = Reply(550, "5.6.11", "The message holds a bare CR or LF; lines end with CR LF.")
BAD_CHUNK = Reply(501, "5.5.4", "The form is BDAT size [LAST]; closing the connection.")
ENDLESS_MESSAGE = Reply(552, "5.3.4", "The message does not end; closing the connection.")

# Leaving
TOO_MANY_BAD_COMMANDS = Reply(421, "4.7.0", "Too many bad commands, closing the connection.")
TOO_MANY_IDLE_COMMANDS = Reply(421, "4.7.0", "Too many commands without mail, closing the connection.")
TOO_MANY_LOGINS = Reply(421, "4.7.0", "Too many failed logins, closing the connection.")


def greeting(host_name: str, protocol: str) -> Reply:
    """The opening message (RFC 5321 §4.3.1); ``protocol`` is ``ESMTP`` or ``LMTP``."""
    return Reply(220, None, f"{host_name} {protocol} PTT")


def hello(host_name: str, *offers: str) -> Reply:
    """The answer to EHLO and LHLO, a line an extension; without any, to HELO (RFC 5321 §4.1.1.1)."""
    return Reply(250, None, host_name, *offers)


def chunk_taken(octets: int) -> Reply:
    """The answer to a BDAT that is not the last (RFC 3030 §2)."""
    return Reply(250, "2.0.0", f"{octets} octets received.")


def challenge(text: str) -> Reply:
    """A server's challenge, coded already (RFC 4954 §4)."""
    return Reply(334, None, text)
