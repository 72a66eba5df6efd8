"""``ptt trace``: where one message went, from the journal; or what a mail file tells of its way."""

import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import msgspec
from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from ptt.deployer.mail_story import MailStory, tell_story
from ptt.deployer.trace import Step, Trace, make_trace
from ptt.errors import ConfigError
from ptt.host.inquiry import MAX_LINES, AskLogs, Logs, Refusal
from ptt.host.inquiry_socket import ask, socket_path
from ptt.records.journal import JournalLine, decode_line

MAX_FILE_OCTETS = 64 * 1024 * 1024  # more than any message


def show_trace(trace_id: str, *, journal: Path | None, as_json: bool) -> None:
    """Print a message's way. ``journal``: a file that ``ptt up --journal`` wrote, else the host is asked."""
    texts = _from_host(trace_id) if journal is None else _from_file(trace_id, journal)
    read = (decode_line(text.encode()) for text in texts)
    trace = make_trace(trace_id, (line for line in read if isinstance(line, JournalLine)))
    if trace is None:
        mend = "the id is in Received and in our replies; the host keeps 10,000 lines, a --journal FILE all"
        raise ConfigError("ptt trace", f"nothing is known of {trace_id}", mend)
    if as_json:
        told = {
            "id": trace.id,
            "sentence": trace.sentence,
            "began": trace.began,
            "steps": [
                {
                    "offset_ms": round(step.offset_ms, 3),
                    **msgspec.to_builtins(step.line),
                    "words": [asdict(word) for word in step.words],
                }
                for step in trace.steps
            ],
        }
        _print_json(told)
    else:
        _show(trace, Console(highlight=False))


def show_file(path: Path, *, as_json: bool) -> None:
    """Print what a mail file tells."""
    try:
        if path.stat().st_size > MAX_FILE_OCTETS:
            raise ConfigError(str(path), f"larger than {MAX_FILE_OCTETS} octets", "is it a message?")
        message = path.read_bytes()
    except OSError as error:
        mend = "see that it is there and readable"
        raise ConfigError(str(path), error.strerror or str(error), mend) from error
    story = tell_story(message)
    if as_json:
        _print_json(asdict(story))
    else:
        _show_story(story, Console(highlight=False))


def _from_host(trace_id: str) -> Iterable[str]:
    answer = ask(AskLogs(count=MAX_LINES, holding=trace_id), socket_path())
    if not isinstance(answer, Logs):
        reason = answer.reason if isinstance(answer, Refusal) else "the host answered something else"
        raise ConfigError("ptt trace", reason, "is it of the same version?")
    return [line.text for line in answer.lines]


def _from_file(trace_id: str, path: Path) -> Iterable[str]:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return [line.rstrip("\n") for line in file if trace_id in line]
    except OSError as error:
        raise ConfigError(
            str(path), error.strerror or str(error), "ptt up --journal FILE writes it"
        ) from error


def _show(trace: Trace, console: Console) -> None:
    console.print(f"[bold]{_safe(trace.sentence)}[/]\n")
    first = trace.steps[0].line
    console.print(f"trace {trace.id}, begun {trace.began:%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC")
    to = ", ".join(first.forward_paths) or "no recipient"
    console.print(f"  <{first.reverse_path or ''}> to {to}", markup=False)
    if first.size:
        console.print(f"  {first.size} octets")
    for step in trace.steps:
        _show_step(step, console)


def _show_step(step: Step, console: Console) -> None:
    line = step.line
    who = f"{line.unit}.{line.generation}"
    caller = f"login {line.login} at {line.peer}" if line.login and step.offset_ms == 0 else line.peer
    console.print(
        f"\n[dim]{step.offset_ms:7.0f} ms[/]  [bold]{who}[/]  called by {caller or '-'},"
        f" took {line.duration_ms or 0:.0f} ms"
    )
    words = step.words
    for word in words:
        said = f"{word.host} at {word.stage}: {word.text}" if word.host else word.text
        _indented(console, f"{word.target}  {said}", _COLOURS[word.kind])
    if line.detail and not words:
        _indented(console, line.detail, "")
    outcome = line.outcome or ""
    _indented(console, f"answered  {outcome}", _COLOURS.get(outcome[:1], "yellow"))


_COLOURS = {"2": "green", "4": "yellow", "5": "red"}
_INDENT = 12


def _indented(console: Console, text: str, style: str) -> None:
    console.print(Padding(Text(text, style=style), (0, 0, 0, _INDENT), expand=False))


def _show_story(story: MailStory, console: Console) -> None:
    console.print(f"[bold]{_safe(story.sentence)}[/]\n")
    for name, value in (("from", story.sender), ("to", story.recipient), ("subject", story.subject)):
        console.print(f"  {name:8} {value or '-'}", markup=False)
    console.print("\nits way, as each server claims")
    for hop in story.hops:
        when = f"{hop.at:%Y-%m-%d %H:%M:%S %z}" if hop.at else "at no time"
        after = f" (+{hop.after_s:.0f} s)" if hop.after_s is not None else ""
        console.print(f"  {when}{after}  {hop.sender or '?'} -> {hop.by or '?'}", markup=False)
        console.print(f"      {hop.protocol or '-'}  id {hop.id or '-'}", markup=False)
    for results in story.results:
        console.print(f"\nwhether it is genuine, says {results.authserv_id}", markup=False)
        for result in results.results:
            facts = " ".join(f"{name}={value}" for name, value in result.properties)
            console.print(f"  {result.method}={result.result}  {facts}", markup=False)
    console.print("\nwhat it is made of")
    for part in story.parts:
        extra = " ".join(filter(None, (part.charset, f'"{part.filename}"' if part.filename else "")))
        console.print(
            f"  {'  ' * part.depth}{part.media_type}  {part.octets} octets  {extra}".rstrip(), markup=False
        )


def _safe(text: str) -> str:
    return text.replace("[", "\\[")


def _print_json(told: object) -> None:
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(told), indent=1).decode() + "\n")
