"""A milter that runs as a process of its own, as Debian packages them: started, waited for, ended."""

import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from ptt.errors import ConfigError

START_TIMEOUT_S = 10.0
PROGRAM_PATH = "/usr/sbin:/usr/bin"


def find_program(name: str) -> str | None:
    """Where the program is; None: it is not installed."""
    return shutil.which(name, path=PROGRAM_PATH)


class MilterProcess:
    """One program, named as its package is, that listens at a port of 127.0.0.1."""

    def __init__(self, name: str, folder: Path, port: int) -> None:
        self._name = name
        self._folder = folder
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, configuration: str, options: Sequence[str]) -> None:
        """Start it; returns when it listens. Behind ``options`` the file of the configuration is named."""
        program = find_program(self._name)
        if program is None:
            raise ConfigError("this machine", f"no program {self._name}", f"apt-get install {self._name}")
        file = self._folder / f"{self._name}.conf"
        file.write_text(configuration, encoding="ascii")
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [program, *options, str(file)], stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
                raise ConfigError("rehearsal", f"{self._name} did not start", said[-2000:])
            time.sleep(0.02)

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self._port), timeout=1.0).close()
        except OSError:
            return False
        return True
