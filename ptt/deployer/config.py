"""``ptt.toml``: everything that an operator decides and nothing secret, as one frozen ``Config``.

The defaults are the field defaults here and nowhere else. What is left out is what most people want, so the
file of a new domain has four lines. ``docs/configuration.md`` is made from this module.
"""

# ruff: noqa: RUF009 - what is called here makes fields, as dataclasses.field does
import os
import tomllib
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

from ptt.deployer import toml_places
from ptt.deployer.config_kinds import (
    ADDRESS,
    DOMAIN,
    DURATION,
    NAME,
    PATH,
    PORT,
    RECIPIENT,
    SIZE,
    TEXT,
    YES_NO,
    list_of,
    one_of,
    whole_number,
)
from ptt.deployer.config_reading import (
    Mistake,
    maybe_table,
    read_table,
    setting,
    table,
    tables,
    tell,
)
from ptt.deployer.original_names import translate
from ptt.deployer.secret_store import FILE_NAME as SECRETS_NAME
from ptt.errors import ConfigError, Malformed
from ptt.records.repository import RepositorySettings, read_repository

FILE_NAME = "ptt.toml"
SYSTEM_FOLDER = Path("/etc/ptt")
MIB = 1024 * 1024

MAX_SIZE = 35 * MIB  # 25 MB of attached files grow to 34 MB in base64; Gmail takes as much
STREAMING = 48 * MIB  # 48 messages just below the size from which they are streamed
HOLDING = 2 * MAX_SIZE  # two of the largest messages at once, or 7,000 of 10 kB
HOLDING_INBOUND = 3 * MAX_SIZE  # port 25 is for everybody: three of the largest
DRAIN_S = 30.0  # after Ctrl-C: ends what is in the middle of a message
CONNECTIONS = 5  # to one destination: more looks like an attack to many (specs of big receivers)
MESSAGES_PER_CONNECTION = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Repositories:
    """Where users, passwords and zones are: a path, or ``USER@HOST:PATH``, ``https://…``; ``#BRANCH``."""

    relay: str = setting(PATH, "users and where their mail goes, one file a user", "relay.git")
    passwords: str = setting(PATH, "verifiers of passwords, one file a user", "passwords.git")
    zone: str = setting(PATH, "zone files, one a zone", "zone.git")
    relay_host_key: str = setting(TEXT, "the key of its SSH server, or its fingerprint", "")
    passwords_host_key: str = setting(TEXT, "the same for passwords", "")
    zone_host_key: str = setting(TEXT, "the same for zone", "")

    def place(self, name: str) -> str:
        """Where ``relay``, ``passwords`` or ``zone`` is."""
        return str(getattr(self, name))

    def host_key(self, name: str) -> str:
        """What its SSH server is known by."""
        return str(getattr(self, f"{name}_host_key"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """The public certificate."""

    certificate: str = setting(
        PATH,
        "PEM, leaf first, where you bring your own; its key may stand behind it",
        "",
        default_says="letsencrypt gets one",
    )
    key: str = setting(
        PATH, "PEM of the key of your own certificate", "", default_says="the key in the file of secrets"
    )
    key_number: int = setting(whole_number(0, 1_000_000), "one more makes another key of the same seed", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionConfig:
    """Ports 465 and 587."""

    memory: int = setting(SIZE, "for mail in flight; beyond it 452", STREAMING)
    hide_client: bool = setting(YES_NO, "leave the user's own address out of Received", True)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignerConfig:
    """DKIM."""

    memory: int = setting(SIZE, "for mail in flight; beyond it 452", HOLDING)
    selector: tuple[str, ...] = setting(
        list_of(TEXT), "sign with the keys of these selectors only", (), default_says="all DKIM keys"
    )
    fields: tuple[str, ...] = setting(
        list_of(TEXT), "the header fields that are signed", (), default_says="those of RFC 6376 §5.4.1"
    )
    header_canonicalization: str = setting(one_of("relaxed", "simple"), "RFC 6376 §3.4", "relaxed")
    body_canonicalization: str = setting(one_of("relaxed", "simple"), "RFC 6376 §3.4", "relaxed")
    expiration: float = setting(DURATION, "how long a signature holds", 0.0, default_says="for ever")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiverConfig:
    """Port 25."""

    memory: int = setting(SIZE, "for mail in flight; beyond it 452", HOLDING_INBOUND)
    lists: tuple[str, ...] = setting(
        list_of(DOMAIN), "mailing lists that may send with an author of ours without DMARC pass", ()
    )
    dmarc: str = setting(
        one_of("enforce", "stamp"), "refuse what fails a policy of reject, or only mark it", "enforce"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpamFilterConfig:
    """The spam filter."""

    memory: int = setting(SIZE, "for mail in flight; beyond it 452", HOLDING)
    model: str = setting(
        PATH, "a file of `ptt spam train`", "", default_says="none: everything is marked unknown"
    )
    x_spam_status: bool = setting(YES_NO, "write X-Spam-Status too, for programs that sort by it", False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Smarthost:
    """The server that takes all outbound mail, where port 25 is blocked."""

    host: str = setting(DOMAIN, "its name")
    login: str = setting(TEXT, "the login there; its password is a secret: [other] smarthost_password")
    port: int = setting(PORT, "465 speaks TLS at once, others by STARTTLS", 465)
    implicit_tls: bool | None = setting(
        YES_NO, "TLS from the first octet", default_says="as is usual on the port"
    )
    trust: str = setting(PATH, "PEM of the certificates to trust", "", default_says="those of the system")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConfig:
    """Delivery."""

    memory: int = setting(SIZE, "for mail in flight; beyond it 452", STREAMING)
    catch_all: str = setting(RECIPIENT, "who gets mail for nobody", "", default_says="such mail is refused")
    srs_domain: str = setting(
        DOMAIN, "the domain of rewritten envelope senders", "", default_says="srs. and our domain"
    )
    ipv6: bool = setting(
        YES_NO, "send by IPv6 too; only with a reverse name that leads back to the address", False
    )
    smarthost: Smarthost | None = maybe_table(Smarthost, "where port 25 is blocked")
    connections: int = setting(whole_number(1, 100), "at once to one destination", CONNECTIONS)
    messages_per_connection: int = setting(
        whole_number(1, 1000), "to one destination", MESSAGES_PER_CONNECTION
    )
    port: int = setting(PORT, "of other servers; for a pretend Internet", 25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A server of the root of the DNS."""

    name: str = setting(NAME, "its name")
    ipv4: str = setting(ADDRESS, "its address", "", default_says="none")
    ipv6: str = setting(ADDRESS, "its address", "", default_says="none")


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsResolverConfig:
    """The resolver."""

    ipv6: bool = setting(YES_NO, "ask servers by IPv6 too", True)
    roots: tuple[Root, ...] = tables(Root, "servers of the root, for a pretend Internet")
    unreserved: tuple[str, ...] = setting(
        list_of(NAME), "zones of private networks that are resolved all the same", ()
    )
    private_servers: bool = setting(YES_NO, "ask servers with addresses of private networks", False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Secondary:
    """A name server that copies a zone of ours."""

    zone: str = setting(DOMAIN, "which")
    address: str = setting(ADDRESS, "who is told of changes")
    port: int = setting(PORT, "where", 53)
    key: str = setting(NAME, "the TSIG key that signs", "", default_says="unsigned")


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsPrimaryConfig:
    """The name server of our zones."""

    secondaries: tuple[Secondary, ...] = tables(Secondary, "name servers that copy zones of ours")


@dataclass(frozen=True, slots=True, kw_only=True)
class LetsencryptConfig:
    """Certificates."""

    email: str = setting(TEXT, "whom the authority writes to", "", default_says="nobody")
    production: bool = setting(YES_NO, "certificates that programs trust, not the authority's tests", True)
    directory: str = setting(TEXT, "another authority (ACME)", "", default_says="Let's Encrypt")
    trust: str = setting(
        PATH, "PEM of the certificates to trust that authority by", "", default_says="those of the system"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckConfig:
    """``ptt check``."""

    mail_servers: tuple[str, ...] = setting(
        list_of(DOMAIN),
        "servers whose port 25 is tried",
        (),
        default_says="some that everybody knows",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All of ``ptt.toml``. ``file`` is where it was read; paths in it start from its folder."""

    file: Path = field(default=Path(FILE_NAME))
    domain: str = setting(DOMAIN, 'our domain, for example domain = "example.org"')
    addresses: tuple[str, ...] = setting(
        list_of(ADDRESS), "our public addresses, at most one IPv4 and one IPv6"
    )
    more_domains: tuple[str, ...] = setting(list_of(DOMAIN), "further domains with the same users", ())
    host_name: str = setting(
        DOMAIN, "the server's name in mail and in its certificate", "", default_says="mail. and the domain"
    )
    listen: tuple[str, ...] = setting(
        list_of(ADDRESS),
        "addresses of this machine, where they are not the public ones (behind NAT)",
        (),
        default_says="addresses",
    )
    postmaster: str = setting(
        RECIPIENT,
        "who gets mail for postmaster and abuse",
        "",
        default_says="the user postmaster, if there is one",
    )
    compatible: bool = setting(
        YES_NO, "passwords in relay.git hold, as the original keeps them; false once all have moved", True
    )
    max_size: int = setting(SIZE, "the largest message, both ways", MAX_SIZE)
    drain: float = setting(DURATION, "what Ctrl-C gives mail that is under way", DRAIN_S)
    secrets: str = setting(PATH, "the file of secrets", SECRETS_NAME)
    images: str = setting(PATH, "the folder of built units", "images")
    repositories: Repositories = table(Repositories, "Git repositories: a path or an address")
    tls: Tls = table(Tls, "the public certificate, where letsencrypt does not get it")
    submission: SubmissionConfig = table(SubmissionConfig, "takes mail from our users")
    signer: SignerConfig = table(SignerConfig, "signs what they send")
    receiver: ReceiverConfig = table(ReceiverConfig, "takes mail from the Internet")
    spam_filter: SpamFilterConfig = table(SpamFilterConfig, "labels it")
    relay: RelayConfig = table(RelayConfig, "brings mail to the servers of its recipients")
    dns_resolver: DnsResolverConfig = table(DnsResolverConfig, "resolves names")
    dns_primary: DnsPrimaryConfig = table(DnsPrimaryConfig, "serves our zones")
    letsencrypt: LetsencryptConfig = table(LetsencryptConfig, "gets certificates")
    check: CheckConfig = table(CheckConfig, "looks whether everything is right")
    notices: tuple[str, ...] = field(default=())
    """What an operator should know and need not mend: settings of the original without effect."""

    @property
    def folder(self) -> Path:
        """Where relative paths start."""
        return self.file.parent

    @property
    def domains(self) -> tuple[str, ...]:
        """All domains of ours, the first one in front."""
        return tuple(dict.fromkeys((self.domain, *self.more_domains)))

    @property
    def name(self) -> str:
        """The server's name."""
        return self.host_name or f"mail.{self.domain}"

    @property
    def bound_addresses(self) -> tuple[str, ...]:
        """What public listeners are bound to."""
        return self.listen or self.addresses

    @property
    def secrets_file(self) -> Path:
        """The file of secrets."""
        return self.path(self.secrets)

    def path(self, text: str) -> Path:
        """A path of the file, from its folder."""
        return (self.folder / text).absolute()

    def repository(self, text: str) -> Path | None:
        """Where a local repository is; None for one on another machine."""
        is_remote = "://" in text or (":" in text and "/" not in text.partition(":")[0])
        return None if is_remote else self.path(text.partition("#")[0])


def find_config(named: Path | None = None) -> Path:
    """The file to read: as named, by ``PTT_CONFIG``, in this folder, in ``/etc/ptt``."""
    if named is not None:
        return named / FILE_NAME if named.is_dir() else named
    if chosen := os.environ.get("PTT_CONFIG"):
        return find_config(Path(chosen))
    here = Path(FILE_NAME)
    return here.absolute() if here.exists() else SYSTEM_FOLDER / FILE_NAME


def load_config(named: Path | None = None) -> Config:
    """Find, read and check ``ptt.toml``; ``ConfigError`` with every mistake."""
    path = find_config(named)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        mend = "make one: ptt init DOMAIN --address IP; another place: --config FILE"
        raise ConfigError(str(path), error.strerror or str(error), mend) from error
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "not UTF-8", "save it as UTF-8") from error
    return read_config(text, path)


def read_config(text: str, file: Path = Path(FILE_NAME)) -> Config:
    """Read the text of a file; ``ConfigError`` with every mistake, each with its line and mend."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _syntax_error(text, error, file) from error
    translated = translate(raw)
    mistakes: list[Mistake] = []
    config = read_table(Config, translated.values, mistakes)
    mistakes = [*translated.mistakes, *map(_at_the_top, mistakes)]
    if not mistakes:
        mistakes += _contradictions(config)
    places = toml_places.find_places(text)
    for ours, theirs in translated.origins.items():
        for path in [path for path in places if path[: len(theirs)] == theirs]:
            places[(*ours, *path[len(theirs) :])] = places[path]
    if mistakes:
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        told = tell(mistakes, places, file.name).replace("\n", "\n  ")
        raise ConfigError(str(file), count, told)
    notices = tuple(
        f"{file.name}:{places[at].line}: {text}" for at, text in translated.notices if at in places
    )
    return _placed(config, file, notices)


def _placed(config: Config, file: Path, notices: tuple[str, ...]) -> Config:
    return replace(config, file=file, notices=notices)


def _at_the_top(mistake: Mistake) -> Mistake:
    """A setting of the whole service, looked for in a unit's table."""
    name = str(mistake.path[-1])
    if mistake.is_about_name and len(mistake.path) > 1 and name in Config.__dataclass_fields__:
        return replace(mistake, what=f"{name} stands at the top of the file: it is the same for all units")
    return mistake


def _contradictions(config: Config) -> list[Mistake]:
    """Values that are right alone and not together."""
    found = []
    for name in ("addresses", "listen"):
        families = [ip_address(text).version for text in getattr(config, name)]
        if len(set(families)) < len(families):
            found.append(Mistake((name,), "at most one IPv4 and one IPv6 address"))
    if not config.addresses:
        found.append(Mistake(("addresses",), "at least one address"))
    if config.relay.srs_domain in config.domains:
        what = "a domain of its own, else nobody could tell its addresses from users: srs. and the domain"
        found.append(Mistake(("relay", "srs_domain"), what))
    found += _wrong_repositories(config)
    for number, root in enumerate(config.dns_resolver.roots):
        if not root.ipv4 and not root.ipv6:
            what = "a root server needs ipv4 or ipv6"
            found.append(Mistake(("dns_resolver", "roots", number), what, is_about_name=True))
    return found


def _wrong_repositories(config: Config) -> list[Mistake]:
    """Places on other machines that a unit could not read, or whose server it would not know."""
    found = []
    for name in ("relay", "passwords", "zone"):
        text = config.repositories.place(name)
        if config.repository(text) is not None:
            continue
        read = read_repository(RepositorySettings(text, host_key=config.repositories.host_key(name)))
        if isinstance(read, Malformed):
            field, _, reason = read.reason.partition(": ")
            is_key = field == "host_key"
            path = ("repositories", f"{name}_host_key" if is_key else name)
            found.append(Mistake(path, reason, is_about_name=is_key))
    return found


def _syntax_error(text: str, error: tomllib.TOMLDecodeError, file: Path) -> ConfigError:
    """The parser's words, at the line that it stopped at."""
    what, _, where = str(error).removesuffix(")").rpartition(" (at ")
    numbers = [int(word.strip(",")) for word in where.split() if word.strip(",").isdigit()]
    lines = text.split("\n")
    line, column = numbers if len(numbers) == 2 else (len(lines), len(lines[-1]) + 1)  # noqa: PLR2004
    shown = lines[line - 1].replace("\t", " ")
    start = f"{file.name}:{line}: "
    told = f"{start}{shown}\n  {' ' * (len(start) + column - 1)}^ {what}"
    return ConfigError(str(file), "not TOML", told)
