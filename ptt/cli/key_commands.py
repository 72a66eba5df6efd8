"""The arguments of ``ptt key``; what they do is in ``ptt.cli.key``, imported when it is needed."""

from pathlib import Path
from typing import Annotated

import typer

key_app = typer.Typer(help="Keys: make, show, take over from the original.", no_args_is_help=True)

KINDS = {
    "ssh": ("a unit's key for Git over SSH", ""),
    "dkim": ("what mail is signed with; NAME is the selector", ""),
    "tsig": ("for updates and transfers of zones; NAME is the key's", ""),
    "account": ("the account at the certificate authority", "acme"),
    "dnssec": ("the seed of a zone's keys", "all"),
    "certificate": ("the key of public certificates; NAME is the host", "all"),
}

Secrets = Annotated[
    Path | None, typer.Option("--secrets", help="The file of secrets; else as ptt.toml says, or here.")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="ptt.toml, if it is not here.")]
Replace = Annotated[bool, typer.Option("--replace", help="In place of the one of that name.")]
ShowSecret = Annotated[bool, typer.Option("--show-secret", help="Print the secret too.")]
Bits = Annotated[int | None, typer.Option("--bits", help="Of an RSA key.")]
Form = Annotated[str, typer.Option("--type", help="Which kind of key; a wrong one names all.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


def _commands_of(kind: str, says: str, usual: str) -> typer.Typer:
    app = typer.Typer(help=says[0].upper() + says[1:] + ".", no_args_is_help=True)
    shown_name = typer.Argument(help="Its name.", show_default=bool(usual))

    @app.command("make")
    def make(  # noqa: PLR0913 - options
        name: Annotated[str, shown_name] = usual,
        *,
        form: Form = "",
        bits: Bits = None,
        replace: Replace = False,
        show_secret: ShowSecret = False,
        secrets: Secrets = None,
        config: ConfigFile = None,
        json: Json = False,
    ) -> None:
        """Make a new one; the secret goes into the file of secrets only."""
        from ptt.cli import key  # noqa: PLC0415 - see the module

        wish = key.Wish(kind, name, form, bits, replace)
        key.make(key.place_of(secrets, config), wish, shows_secret=show_secret, as_json=json)

    @app.command("show")
    def show(
        name: Annotated[str, typer.Argument(help="Its name; without it all.")] = "",
        *,
        show_secret: ShowSecret = False,
        secrets: Secrets = None,
        config: ConfigFile = None,
        json: Json = False,
    ) -> None:
        """Show what is to be made known of it: lines to paste, fingerprints."""
        from ptt.cli import key  # noqa: PLC0415 - see the module

        key.show(key.place_of(secrets, config), kind, name, shows_secret=show_secret, as_json=json)

    @app.command("import")
    def take_over(  # noqa: PLR0913 - options
        name: Annotated[str, shown_name] = usual,
        file: Annotated[str, typer.Argument(help="Where it stands; - is standard input.")] = "-",
        *,
        form: Form = "",
        bits: Bits = None,
        replace: Replace = False,
        secrets: Secrets = None,
        config: ConfigFile = None,
        json: Json = False,
    ) -> None:
        """Take over a key of the original (its seed too) or of another program."""
        from ptt.cli import key  # noqa: PLC0415 - see the module

        wish = key.Wish(kind, name, form, bits, replace)
        key.take_over(key.place_of(secrets, config), wish, file, as_json=json)

    return app


for _kind, (_says, _usual) in KINDS.items():
    key_app.add_typer(_commands_of(_kind, _says, _usual), name=_kind)


@key_app.command("show")
def show_all(*, secrets: Secrets = None, config: ConfigFile = None, json: Json = False) -> None:
    """Show all keys: names, kinds, fingerprints."""
    from ptt.cli import key  # noqa: PLC0415 - see the module

    key.show_all(key.place_of(secrets, config), as_json=json)
