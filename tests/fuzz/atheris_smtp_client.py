"""Coverage-guided search for octets that break the client's dialogue (`make fuzz`).

The first octet chooses how we speak; the rest is a list of steps: a command, a piece of what the server
sends, a piece of a message, the end. Two dialogues get it, one octet by octet, and must send the same.
"""

import sys

import atheris

with atheris.instrument_imports(include=["ptt"]):
    from ptt.errors import MisuseError
    from ptt.protocol.dns.name import Name
    from ptt.protocol.mail.address import Mailbox
    from ptt.protocol.smtp.client import ClientDialogue, ClientSettings
    from ptt.protocol.smtp.commands import (
        Chunk,
        ClientCommand,
        Data,
        Hello,
        Login,
        Mail,
        Noop,
        Quit,
        Recipient,
        ReportTaken,
        Reset,
        StartTls,
    )
    from ptt.protocol.smtp.events import MailParameters
    from ptt.protocol.smtp.extensions import Flavour

BOX = Mailbox("a", Name.of("example.org"), b"a@example.org")
COMMANDS: tuple[ClientCommand, ...] = (
    Hello("me.example"),
    StartTls(),
    Login("a", "b"),
    Mail(BOX),
    Mail(None, MailParameters(prdr=True)),
    Recipient(BOX),
    Data(),
    Chunk((b"a\r\n",)),
    Chunk((b"b", b"\r\n"), last=True),
    Reset(),
    Noop(),
    Quit(),
    ReportTaken(("x",)),
)


def say(client: ClientDialogue, command: ClientCommand) -> None:
    try:
        client.send(command)
    except MisuseError:
        return


def write(client: ClientDialogue, piece: bytes, *, last: bool) -> None:
    try:
        client.send_body([piece], last=last)
    except MisuseError:
        return


def secure(client: ClientDialogue) -> None:
    try:
        client.tls_established()
    except MisuseError:
        return


def drain(client: ClientDialogue) -> None:
    while client.next_event() is not None:
        pass


def open_up(client: ClientDialogue) -> None:
    client.receive_data(b"220 ready\r\n")
    client.send(Hello("me.example"))
    client.data_to_send()
    client.receive_data(
        b"250-x\r\n250-PIPELINING\r\n250-CHUNKING\r\n250-PRDR\r\n250-XPTT\r\n250 AUTH LOGIN\r\n"
    )
    drain(client)


def search(data: bytes) -> None:
    provider = atheris.FuzzedDataProvider(data)
    flavour = Flavour.LMTP if provider.ConsumeBool() else Flavour.SMTP
    settings = ClientSettings(flavour, private=provider.ConsumeBool())
    whole, single = clients = (ClientDialogue(settings, tls=True), ClientDialogue(settings, tls=True))
    if provider.ConsumeBool():
        for client in clients:
            open_up(client)
    while provider.remaining_bytes():
        step = provider.ConsumeIntInRange(0, 31)
        piece = provider.ConsumeBytes(provider.ConsumeIntInRange(0, 80)) if step >= len(COMMANDS) else b""
        for client in clients:
            if step < len(COMMANDS):
                say(client, COMMANDS[step])
            elif step < len(COMMANDS) + 2:
                write(client, piece, last=step == len(COMMANDS))
            elif step == len(COMMANDS) + 2:
                secure(client)
            elif client is whole:
                client.receive_data(piece)
            else:
                for octet in piece:
                    client.receive_data(bytes([octet]))
            drain(client)
        assert whole.data_to_send() == single.data_to_send()
        assert whole.outstanding == single.outstanding
        assert whole.closed == single.closed
    for client in clients:
        client.receive_eof()
        assert client.closed


if __name__ == "__main__":
    atheris.Setup(sys.argv, search)
    atheris.Fuzz()
