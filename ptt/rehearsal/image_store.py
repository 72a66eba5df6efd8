"""Where images of rehearsals lie: in one folder for all of a user, as an image is named by its content.

Building eight images takes as long as a whole story in them, so each is built once for a state of the code.
The folder is in the system's place for temporary files, where units under user ids of their own can read it;
it must be ours alone to write to. What nobody has used for a day is removed.
"""

import os
import shutil
import stat
import tempfile
import time
from pathlib import Path

from ptt.deployer.images import Image, build_image
from ptt.errors import ConfigError

KEPT_S = 86_400.0  # a unit that runs has loaded all of its image, so none is missed


def stored_image(unit: str) -> Image:
    """The unit's image, built if it is not there."""
    folder = store()
    image = build_image(unit, folder)
    os.utime(image.folder)
    return image


def store() -> Path:
    """The folder, made if it is not there. ``ConfigError`` where somebody else can write to it."""
    folder = Path(tempfile.gettempdir()) / f"ptt-images-{_user()}"
    try:
        folder.mkdir(mode=0o755)
    except FileExistsError:
        _remove_old(folder)
    found = folder.lstat()
    writable = stat.S_IWGRP | stat.S_IWOTH
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & writable:
        raise ConfigError(str(folder), "others can write to it, or it is another user's", f"rm -r {folder}")
    folder.chmod(0o755)
    return folder


def _user() -> int:
    """Who we are outside of a user namespace: inside, everybody may be root (user_namespaces(7))."""
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, outside, count = map(int, line.split())
        if inside <= os.geteuid() < inside + count:
            return outside + os.geteuid() - inside
    return os.geteuid()


def _remove_old(folder: Path) -> None:
    oldest = time.time() - KEPT_S
    for image in folder.iterdir():
        try:
            is_old = image.lstat().st_mtime < oldest
        except FileNotFoundError:
            continue  # somebody else removes, too
        if is_old:
            shutil.rmtree(image, ignore_errors=True)
