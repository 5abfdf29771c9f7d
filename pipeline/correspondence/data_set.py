"""Where a processed data set lies, when a user names it."""

from __future__ import annotations

from pathlib import Path

from pipeline.errors import PipelineError
from pipeline.paths import Paths


def data_set_folder(given: str, data: str) -> Path:
    """The folder of a data set.

    Args:
        given: path of an output_dir_{name}, or its name.
        data: folder that holds everything.

    Raises:
        PipelineError: there is no such folder.
    """
    by_name = Paths(Path(data).absolute()).output_dir(given)
    folders = (Path(given), by_name)
    for folder in folders:
        if folder.is_dir():
            return folder
    raise PipelineError(
        f"--data-set is {given!r}, but neither {folders[0]} nor {by_name} is a folder",
        "name a data set that egoexo-process or egoexo-import has made",
    )
