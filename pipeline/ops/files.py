"""Files given a second place."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

NO_LINK = (errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOTSUP, errno.ENOSYS)
"""The two places share no file system, or it knows no hard links."""


def link_or_copy(source: Path, place: Path) -> None:
    """A second name for a file where the file system has that, else a whole copy. Symbolic links are followed.

    Raises:
        OSError: the source cannot be read, or the disk is full.
    """
    place.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), place)
    except OSError as error:
        if error.errno not in NO_LINK:
            raise
        partial = place.with_name(f".{place.name}.{os.getpid()}.partial")
        try:
            shutil.copyfile(source, partial)
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)
