"""The arguments of ``ptt user``; what they do is in ``ptt.cli.user``, imported when it is needed."""

from pathlib import Path
from typing import Annotated

import typer

user_app = typer.Typer(help="Users and aliases: who gets mail, who may send it.", no_args_is_help=True)

Remote = Annotated[
    str, typer.Option("--remote", "-r", help="relay.git: a path, user@host:path, https://…; #BRANCH.")
]
Passwords = Annotated[
    str, typer.Option("--passwords", "-p", help="passwords.git; without it hashes are in relay.git.")
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="ptt.toml, which names the repositories where -r does not.")
]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]
User = Annotated[str, typer.Argument(help="The part before the @.", metavar="USER")]
PasswordFile = Annotated[
    str, typer.Option("--password-file", help="The password is its first line; - is standard input.")
]
Ask = Annotated[bool, typer.Option("--ask", help="Ask for the password.")]
Scram = Annotated[bool, typer.Option("--scram", help="Keep it as SCRAM-SHA-256, not as argon2id.")]
Targets = Annotated[
    str | None, typer.Option("--targets", "-t", help="Where mail goes: addresses with commas between.")
]
Insecure = Annotated[
    bool | None, typer.Option("--insecure/--secure", help="Mail may go where there is no TLS.")
]
Domains = Annotated[str | None, typer.Option("--domains", help="Known in these domains only; empty: all.")]
SendAs = Annotated[
    str | None, typer.Option("--send-as", help="Further addresses to send as; @DOMAIN for all of it.")
]
NeedAll = Annotated[bool | None, typer.Option("--need-all/--need-any", help="Every target must take it.")]
Reveal = Annotated[bool | None, typer.Option("--reveal/--hide", help="Refusals in the target's own words.")]
ActionWord = Annotated[str | None, typer.Option("--action", help="forward, drop, defer or refuse.")]
Text = Annotated[str | None, typer.Option("--text", help="What a deferred or refused sender reads.")]
Senders = Annotated[
    str | None, typer.Option("--senders", help="Whose mail is taken: addresses, @DOMAIN, <>; empty: all.")
]
Pattern = Annotated[
    str | None, typer.Option("--pattern", help="An expression: for all local parts that it matches.")
]
CatchAll = Annotated[
    bool | None, typer.Option("--catch-all/--no-catch-all", help="For all that is nobody's.")
]


@user_app.command("add")
def add(  # noqa: PLR0913 - options
    user: User,
    password: Annotated[str, typer.Argument(help="Not here: others see it. See --password-file.")] = "",
    *,
    remote: Remote = "",
    passwords: Passwords = "",
    targets: Targets = None,
    insecure: Insecure = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="In place of one that is there.")] = False,
    password_file: PasswordFile = "",
    ask: Ask = False,
    no_password: Annotated[bool, typer.Option("--no-password", help="An alias: nobody logs in.")] = False,
    scram: Scram = False,
    domains: Domains = None,
    send_as: SendAs = None,
    need_all: NeedAll = None,
    reveal: Reveal = None,
    action: ActionWord = None,
    text: Text = None,
    senders: Senders = None,
    pattern: Pattern = None,
    catch_all: CatchAll = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Add a user, with a password that is made and shown once; or an alias."""
    from ptt.cli import user as command  # noqa: PLC0415 - see the module
    from ptt.cli.user_password import Given  # noqa: PLC0415
    from ptt.cli.user_stores import fields_of, stores_of  # noqa: PLC0415

    fields = fields_of(
        targets=targets or "",
        insecure=bool(insecure),
        domains=domains,
        need_all=need_all,
        reveal=reveal,
        action=action,
        text=text,
        senders=senders,
        pattern=pattern,
        catch_all=catch_all,
    )
    given = Given(password, password_file, asks=ask, has_none=no_password, is_scram=scram)
    stores = stores_of(remote, passwords, config)
    command.add(stores, user, fields, given, send_as=send_as, overwrites=overwrite, as_json=json)


@user_app.command("list")
def list_users(
    *, remote: Remote = "", passwords: Passwords = "", config: ConfigFile = None, json: Json = False
) -> None:
    """All users and aliases."""
    from ptt.cli import user_view  # noqa: PLC0415 - see the module
    from ptt.cli.user_stores import stores_of  # noqa: PLC0415

    user_view.show_list(stores_of(remote, passwords, config), as_json=json)


@user_app.command("show")
def show(
    user: User,
    *,
    remote: Remote = "",
    passwords: Passwords = "",
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """One user."""
    from ptt.cli import user_view  # noqa: PLC0415 - see the module
    from ptt.cli.user_stores import stores_of  # noqa: PLC0415

    user_view.show_user(stores_of(remote, passwords, config), user, as_json=json)


@user_app.command("change")
def change(  # noqa: PLR0913 - options
    user: User,
    *,
    remote: Remote = "",
    passwords: Passwords = "",
    targets: Targets = None,
    insecure: Insecure = None,
    domains: Domains = None,
    send_as: SendAs = None,
    need_all: NeedAll = None,
    reveal: Reveal = None,
    action: ActionWord = None,
    text: Text = None,
    senders: Senders = None,
    pattern: Pattern = None,
    catch_all: CatchAll = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Change what is named and nothing else."""
    from ptt.cli import user as command  # noqa: PLC0415 - see the module
    from ptt.cli.user_stores import fields_of, stores_of  # noqa: PLC0415

    fields = fields_of(
        targets=targets,
        insecure=insecure,
        domains=domains,
        need_all=need_all,
        reveal=reveal,
        action=action,
        text=text,
        senders=senders,
        pattern=pattern,
        catch_all=catch_all,
    )
    stores = stores_of(remote, passwords, config)
    command.change(stores, user, fields, send_as=send_as, as_json=json)


@user_app.command("remove")
def remove(
    users: Annotated[list[str], typer.Argument(help="The part before the @.", metavar="USER...")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="More than half may go: it is meant.")] = False,
    remote: Remote = "",
    passwords: Passwords = "",
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Remove users: mail to them is refused, they cannot log in."""
    from ptt.cli import user as command  # noqa: PLC0415 - see the module
    from ptt.cli.user_stores import stores_of  # noqa: PLC0415

    command.remove(stores_of(remote, passwords, config), users, is_meant=yes, as_json=json)


@user_app.command("passwd")
def passwd(  # noqa: PLR0913 - options
    user: User,
    *,
    remote: Remote = "",
    passwords: Passwords = "",
    password_file: PasswordFile = "",
    ask: Ask = False,
    scram: Scram = False,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Give a user a new password; by default one is made and shown once."""
    from ptt.cli import user as command  # noqa: PLC0415 - see the module
    from ptt.cli.user_password import Given  # noqa: PLC0415
    from ptt.cli.user_stores import stores_of  # noqa: PLC0415

    given = Given("", password_file, asks=ask, is_scram=scram)
    command.passwd(stores_of(remote, passwords, config), user, given, as_json=json)


@user_app.command("verify")
def verify(
    *, remote: Remote = "", passwords: Passwords = "", config: ConfigFile = None, json: Json = False
) -> None:
    """Read all files and tell every mistake, with its line and what to do."""
    from ptt.cli import user_view  # noqa: PLC0415 - see the module
    from ptt.cli.user_stores import stores_of  # noqa: PLC0415

    raise typer.Exit(user_view.verify(stores_of(remote, passwords, config), as_json=json))


@user_app.command("upgrade")
def upgrade(
    *, remote: Remote = "", passwords: Passwords = "", config: ConfigFile = None, json: Json = False
) -> None:
    """Move all passwords from relay.git to passwords.git; logins stay as they are."""
    from ptt.cli import user as command  # noqa: PLC0415 - see the module
    from ptt.cli.user_stores import stores_of  # noqa: PLC0415

    raise typer.Exit(command.upgrade(stores_of(remote, passwords, config), as_json=json))
