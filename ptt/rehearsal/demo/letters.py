"""Letters made up for the demonstration: what its spam filter has learned, and what its people write.

A real service learns from its operator's mail (``ptt spam train``); these few sentences are enough to tell
the demonstration's letters apart, and for nothing else.
"""

from base64 import b64encode
from itertools import combinations

from ptt.records.spam_model import train

HAM = (
    "Hello Alice, shall we have lunch on Friday? I found a quiet table by the river.",
    "Thank you for the minutes of the meeting, I have corrected the second page.",
    "The children enjoyed the garden, please tell your mother and come again soon.",
    "Could you bring the blue folder on Friday? The report needs the figures in it.",
    "The train leaves at nine, so let us meet at the station and read on the way.",
    "I have read your draft: the second page is fine, the figures need another look.",
    "Our meeting moves to Friday after lunch, the report can wait until then.",
    "Please tell Carol that the garden table is mended and the folder is on it.",
)
SPAM = (
    "Congratulations winner! Claim your guaranteed prize money now, click here urgently!",
    "Cheap pills without prescription, limited offer, order now and save ninety percent!",
    "Earn guaranteed income from home, no risk, click here to claim your free bonus!",
    "Your lottery number won a million, urgently send bank details to claim the money!",
    "Hot offer: cheap replica watches, free bonus, order now while the offer lasts!",
    "Act now! Guaranteed casino bonus without risk, click here, the prize expires today!",
    "Lose weight fast with miracle pills, free trial, limited offer, click here now!",
    "Urgently: claim your inheritance money, no risk, guaranteed, reply with bank details!",
)


def letter(sender: str, recipient: str, subject: str, *sentences: str) -> bytes:
    """A letter as a mail program writes it; one line of it begins with a dot."""
    text = "\r\n".join((*sentences, ".and a line that begins with a dot"))
    return (
        f"From: {sender}\r\nTo: {recipient}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject.replace(' ', '-')}@{sender.partition('@')[2]}>\r\n"
        f"Date: Mon, 05 Jan 2026 10:00:00 +0000\r\n\r\n{text}\r\n"
    ).encode()


def model() -> str:
    """The model that is made of them, as the spam filter is told it: base64."""
    spam = [letter("offers@bulk.net", "you@mirage.org", "offer", *pair) for pair in combinations(SPAM, 2)]
    ham = [letter("carol@remote.com", "alice@mirage.org", "hello", *pair) for pair in combinations(HAM, 2)]
    return b64encode(train(spam, ham).encode()).decode("ascii")
