"""The command ``ptt``: every command takes ``--json``; errors name the place and the mend (64, 69, 70)."""

import sys
import traceback
from typing import Annotated

import typer

from ptt.cli import demo as demo_command
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
    inside: Annotated[bool, typer.Option("--inside", hidden=True)] = False,
) -> None:
    """Show the whole service against a pretend Internet, on this machine only."""
    raise typer.Exit(demo_command.run(check=check, as_json=json, inside=inside))


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
