"""Checks passwords for Postfix over Dovecot's authentication protocol (version 1.1), mechanism PLAIN.

It stands in for Dovecot, with the same Argon2id library and two workers as our submission:
``python -m bench.checking SOCKET LOGIN VERIFIER``.
"""

import asyncio
import os
import sys
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor

from ptt.errors import Malformed
from ptt.records.passwords import parse_verifier, verify

WORKERS = 2


async def serve(path: str, login: str, text: str) -> None:
    """Serve for ever."""
    verifier = parse_verifier(text)
    assert not isinstance(verifier, Malformed)
    workers = ThreadPoolExecutor(WORKERS)
    numbers = iter(range(1, 1_000_000))

    async def check(fields: list[bytes]) -> bytes:
        _, number, *parameters = fields
        response = next(each[5:] for each in parameters if each.startswith(b"resp="))
        _, name, password = b64decode(response).split(b"\0")
        loop = asyncio.get_running_loop()
        right = await loop.run_in_executor(workers, verify, verifier, password.decode())
        if right and name.decode() == login:
            return b"OK\t%b\tuser=%b\n" % (number, name)
        return b"FAIL\t%b\tuser=%b\n" % (number, name)

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t%d\nCUID\t%d\nCOOKIE\t%b\nDONE\n"
            % (os.getpid(), next(numbers), os.urandom(16).hex().encode())
        )
        while line := await reader.readline():
            fields = line.rstrip(b"\n").split(b"\t")
            if fields[0] == b"AUTH":
                writer.write(await check(fields))
        writer.close()

    server = await asyncio.start_unix_server(client, path)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:4]))
