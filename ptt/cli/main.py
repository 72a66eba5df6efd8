"""The command ``ptt``: every command takes ``--json``; errors name the place and the mend (64, 69, 70)."""

import sys
import traceback
from typing import Annotated

import typer

from ptt.cli import demo as demo_command
from ptt.cli.status import show_logs, show_status
from ptt.errors import ConfigError

EX_CONFIG = 64  # the operator's input is wrong
EX_BUG = 70

app = typer.Typer(
    name="ptt",
    help="A mail service for your domain that accepts only what is delivered.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def ptt() -> None:
    """A mail service for your domain that accepts only what is delivered."""


@app.command()
def demo(
    *,
    check: Annotated[bool, typer.Option("--check", help="One line a fact; exit 0 only if all hold.")] = False,
    json: Annotated[bool, typer.Option("--json", help="The same as one JSON object.")] = False,
    stay: Annotated[
        bool | None, typer.Option(help="Go on until Ctrl-C; by default where somebody watches.")
    ] = None,
    inside: Annotated[str, typer.Option("--inside", hidden=True)] = "",
) -> None:
    """Show the whole service against a pretend Internet, on this machine only."""
    watched = sys.stdin.isatty() and not (check or json)
    stays = watched if stay is None else stay
    raise typer.Exit(demo_command.run(check=check, as_json=json, stays=stays, inside=inside))


@app.command()
def status(
    *,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """How the units fare that run here."""
    show_status(as_json=json)


@app.command()
def logs(
    unit: Annotated[str, typer.Argument(help="The unit; without it all of them.")] = "",
    *,
    count: Annotated[int, typer.Option("--count", "-n", help="How many lines, from the end.")] = 100,
    json: Annotated[bool, typer.Option("--json", help="As JSON, one object a line.")] = False,
) -> None:
    """What a unit has written: one line for each mail, never its content."""
    show_logs(unit, count=count, as_json=json)


def main() -> int:
    """Run the command line; what goes wrong is told in one place."""
    try:
        return app(standalone_mode=False) or 0
    except typer.Exit as end:
        return end.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except ConfigError as error:
        sys.stderr.write(f"ptt: {error}\n")
        return EX_CONFIG
    except Exception as error:  # noqa: BLE001 - the last place that can tell
        if type(error).__module__.startswith(("click", "typer")):
            sys.stderr.write(f"ptt: {error}\n  ptt --help says how it is called\n")
            return EX_CONFIG
        traceback.print_exc()
        sys.stderr.write("ptt: this is a bug in PTT; please report what stands above\n")
        return EX_BUG


if __name__ == "__main__":
    sys.exit(main())
