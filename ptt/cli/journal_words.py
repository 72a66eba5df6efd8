"""A journal line as a sentence for people; the line itself is JSON."""

from datetime import datetime

from ptt.records.journal import JournalLine, decode_line

INNER_UNITS = frozenset({"signer", "spam_filter", "relay"})  # their mail is told by the unit at the edge


def shown_line(at: datetime, unit: str, generation: int, text: str) -> str:
    """Time of day, unit and what happened."""
    read = decode_line(text.encode())
    said = sentence(read) if isinstance(read, JournalLine) else text
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}  {unit}.{generation}  {said}"


def sentence(line: JournalLine) -> str:
    """What happened."""
    if line.event != "transaction":
        return line.detail or line.event if line.event == "host" else f"{line.event}: {line.detail}"
    to = ", ".join(f"<{path}>" for path in line.forward_paths) or f"{line.forward_path_count} recipients"
    took = f" in {line.duration_ms:.0f} ms" if line.duration_ms is not None else ""
    detail = f"  ({line.detail})" if line.detail else ""
    return f"{line.trace}  <{line.reverse_path or ''}> -> {to}{took}: {line.outcome}{detail}"


def is_of_interest(text: str) -> bool:
    """Whether somebody who watches should see it: one line a mail, and everything else."""
    read = decode_line(text.encode())
    return not (isinstance(read, JournalLine) and read.event == "transaction" and read.unit in INNER_UNITS)
