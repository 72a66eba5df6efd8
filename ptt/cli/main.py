"""The command ``ptt``: every command takes ``--json``; errors name the place and the mend (64, 69, 70).

Each command imports what it needs when it is called: help and errors come at once.
"""

import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

from ptt.cli.key_commands import key_app
from ptt.cli.user_commands import user_app
from ptt.errors import ConfigError, UnreachableError

EX_CONFIG = 64  # the operator's input is wrong
EX_UNREACHABLE = 69
EX_BUG = 70

app = typer.Typer(
    name="ptt",
    help="A mail service for your domain that accepts only what is delivered.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


spam_app = typer.Typer(help="The spam filter's model.", no_args_is_help=True)
app.add_typer(spam_app, name="spam")
app.add_typer(user_app, name="user")
app.add_typer(key_app, name="key")


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
    from ptt.cli import demo as demo_command  # noqa: PLC0415 - see the module

    watched = sys.stdin.isatty() and not (check or json)
    stays = watched if stay is None else stay
    raise typer.Exit(demo_command.run(check=check, as_json=json, stays=stays, inside=inside))


@app.command()
def status(
    *,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """How the units fare that run here."""
    from ptt.cli.status import show_status  # noqa: PLC0415 - see the module

    show_status(as_json=json)


@app.command()
def logs(
    unit: Annotated[str, typer.Argument(help="The unit; without it all of them.")] = "",
    *,
    count: Annotated[int, typer.Option("--count", "-n", help="How many lines, from the end.")] = 100,
    since: Annotated[str, typer.Option("--since", help='"10 min" ago, or a time with its zone.')] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    json: Annotated[bool, typer.Option("--json", help="As JSON, one object a line.")] = False,
) -> None:
    """What a unit has written: one line for each mail, never its content."""
    from ptt.cli.status import show_logs  # noqa: PLC0415 - see the module

    show_logs(unit, count=count, since=since, follow=follow, as_json=json)


@app.command()
def restart(
    unit: Annotated[str, typer.Argument(help="The unit.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Put a new generation in a unit's place, with ptt.toml as it is now; no connection is refused."""
    from ptt.cli import status  # noqa: PLC0415 - see the module

    status.restart(unit, as_json=json)


@app.command()
def init(
    domain: Annotated[str, typer.Argument(help="Your domain.")] = "",
    *,
    address: Annotated[
        list[str] | None, typer.Option("--address", help="This server's public address, one a family.")
    ] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Where; by default /etc/ptt for root, else DOMAIN.")
    ] = None,
    host_name: Annotated[str, typer.Option("--host-name", help="By default mail.DOMAIN.")] = "",
    postmaster: Annotated[str, typer.Option("--postmaster", help="An address where people reach you.")] = "",
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Make what a new domain needs: ptt.toml, keys, repositories, zones; nothing is overwritten."""
    from ptt.cli import init as init_command  # noqa: PLC0415 - see the module

    init_command.run(domain, address or (), folder, host_name=host_name, postmaster=postmaster, as_json=json)


CONFIG_OPTION = typer.Option("--config", help="ptt.toml, if it is neither here nor in /etc/ptt.")


@app.command()
def up(
    *,
    config: Annotated[Path | None, CONFIG_OPTION] = None,
    journal: Annotated[Path | None, typer.Option("--journal", help="Write the journal here.")] = None,
    json: Annotated[bool, typer.Option("--json", help="The journal as JSON; one object when ready.")] = False,
) -> None:
    """Run the service here until Ctrl-C."""
    from ptt.cli import up as up_command  # noqa: PLC0415 - see the module

    raise typer.Exit(up_command.run(config, journal=journal, as_json=json))


@app.command()
def check(
    *,
    only: Annotated[
        str,
        typer.Option(
            "--only",
            metavar="THEME",
            help="configuration, repositories, isolation, ports, outward, delegation, reverse, mail, relay.",
        ),
    ] = "",
    config: Annotated[Path | None, CONFIG_OPTION] = None,
    json: Annotated[bool, typer.Option("--json", help="As a JSON list.")] = False,
) -> None:
    """See whether everything is right, from outside too; changes nothing.

    Name servers are asked directly, never a cache. Exit code 1 if a line says FAIL; WAIT, warn and todo are
    no failure. 64: a mistake in ptt.toml; 69: nobody out there answers.
    """
    from ptt.cli import check as check_command  # noqa: PLC0415 - see the module

    raise typer.Exit(check_command.run(config, only, as_json=json))


@app.command()
def trace(
    trace_id: Annotated[str, typer.Argument(metavar="ID", help="As in our replies and in Received.")] = "",
    *,
    file: Annotated[Path | None, typer.Option("--file", help="A raw mail, in place of ID.")] = None,
    journal: Annotated[Path | None, typer.Option("--journal", help="Look in this journal.")] = None,
    json: Annotated[bool, typer.Option("--json", help="As one JSON object.")] = False,
) -> None:
    """Show where a message went: each unit, what was said to it, and one plain sentence."""
    from ptt.cli import trace as trace_command  # noqa: PLC0415 - see the module

    if (file is None) == (not trace_id):
        raise ConfigError("ptt trace", "one of both: an ID or --file MAIL", "ptt logs shows ids")
    if file is not None:
        trace_command.show_file(file, as_json=json)
    else:
        trace_command.show_trace(trace_id, journal=journal, as_json=json)


@spam_app.command("train")
def spam_train(
    folder: Annotated[Path, typer.Argument(help="Has spam/ and ham/ below it, a message a file.")],
    model: Annotated[Path, typer.Argument(help="The file to write.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Make a model from mail that somebody has sorted."""
    from ptt.cli.spam import train_model  # noqa: PLC0415 - see the module

    train_model(folder, model, as_json=json)


@spam_app.command("score")
def spam_score(
    model: Annotated[Path, typer.Argument(help="A file that ptt spam train wrote.")],
    message: Annotated[Path, typer.Argument(help="A raw message.")],
    *,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Say what a model thinks of a message."""
    from ptt.cli.spam import score_message  # noqa: PLC0415 - see the module

    score_message(model, message, as_json=json)


def main() -> int:
    """Run the command line; what goes wrong is told in one place."""
    try:
        return app(standalone_mode=False) or 0
    except typer.Exit as end:
        return end.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except UnreachableError as error:
        sys.stderr.write(f"ptt: {error}\n")
        return EX_UNREACHABLE
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
