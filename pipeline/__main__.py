"""The only command line: `python -m pipeline PHASE …`, derived from phases.py and config.py."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, get_type_hints

from pipeline import phases
from pipeline.config import AnnotateKnobs, CommonKnobs
from pipeline.console import Console
from pipeline.errors import PipelineError
from pipeline.knobs import Knobs, flag_of, knob_doc, read_knobs
from pipeline.line import check_redo, run_line, with_repo
from pipeline.ops.hub.token import load_token
from pipeline.paths import Paths
from pipeline.runner import of_the_system
from pipeline.units import Clips, select

LINE_COMMANDS = {"all": "factory", "egoexo": "egoexo"}
"""Word on the command line → the line whose phases it runs."""


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run one command; exit status 0: everything asked for is done, 1: something failed, 2: bad usage."""
    console = Console()
    options = build_parser().parse_args(arguments)
    given = {name: value for name, value in vars(options).items() if value is not None}
    try:
        load_token(os.environ)  # before any library of the hub is imported: they read HF_TOKEN then
        common = read_knobs(CommonKnobs, given, environment)
        command = next((row for row in phases.COMMANDS if row.name == options.command), None)
        rows = () if command else selected_phases(options.command, options.with_earlier)
        chosen = (command,) if command else rows
        knobs_of = {row.name: read_knobs(row.knobs, given, environment) for row in chosen}
        check_redo(common)
        make_data_folder(Path(common.data))
        selection = select(rows, knobs_of, common, Paths(Path(common.data).absolute()))
        if isinstance(selection, Clips):
            knobs_of = with_repo(knobs_of, selection.names)
    except PipelineError as error:
        console.error(str(error))
        return 2
    try:
        if command:
            status: int = importlib.import_module(command.module).main(knobs_of[command.name], common, console)
            return status
        annotate = knobs_of.get("annotate")
        if isinstance(annotate, AnnotateKnobs) and annotate.plan and isinstance(selection, Clips):
            from pipeline.plan import show_plans  # the libraries of models take seconds to import

            return show_plans(Paths(Path(common.data).absolute()), selection.names, annotate)
        return run_line(rows, selection, knobs_of, common, console)
    except (PipelineError, OSError) as error:
        console.progress.stop()
        told = error if isinstance(error, PipelineError) else of_the_system(error, Path(common.data))
        if told is None:
            raise
        console.error(str(told))
        return 1


def make_data_folder(folder: Path) -> None:
    """Make the folder that DATA= names, if it is not there.

    Raises:
        PipelineError: it cannot be made, or nothing may be written into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PipelineError(
            f"DATA={folder} cannot be a data folder: {error.strerror}", "set DATA= to a folder that may be written"
        ) from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PipelineError(
            f"nothing may be written into DATA={folder}", "mend its permissions, or set DATA= elsewhere"
        )


def selected_phases(command: str, with_earlier: bool) -> tuple[phases.Phase, ...]:
    """The rows that one word on the command line stands for."""
    if command in LINE_COMMANDS:
        return phases.line_phases(LINE_COMMANDS[command])
    return phases.with_earlier(command) if with_earlier else (phases.phase(command),)


def build_parser() -> argparse.ArgumentParser:
    """One subcommand a phase and command, one flag a knob."""
    parser = argparse.ArgumentParser(prog="python -m pipeline", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="PHASE")
    for command_name, line in LINE_COMMANDS.items():
        rows = phases.line_phases(line)
        _add_command(commands, command_name, " → ".join(row.name for row in rows), [row.knobs for row in rows])
    for row in phases.PHASES:
        classes = [earlier.knobs for earlier in phases.with_earlier(row.name)]
        _add_command(commands, row.name, row.help, classes)
    for command in phases.COMMANDS:
        _add_command(commands, command.name, command.help, [command.knobs])
    return parser


def _add_command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, classes: list[type[Knobs]]
) -> None:
    parser = commands.add_parser(name, help=text, description=text)
    parser.add_argument(
        "--with-earlier",
        action="store_true",
        default=None,
        help="first make what is missing of earlier phases",
    )
    seen: set[str] = set()
    all_knobs: list[type[Knobs]] = [CommonKnobs, *classes]
    for knobs in all_knobs:
        hints = get_type_hints(knobs)
        for item in dataclasses.fields(knobs):
            if item.name not in seen:
                seen.add(item.name)
                _add_flag(parser, item, hints[item.name])


def _add_flag(parser: argparse.ArgumentParser, item: dataclasses.Field[Any], hint: Any) -> None:
    documentation = knob_doc(item)
    if documentation.positional:
        parser.add_argument(item.name, nargs="?", choices=documentation.choices, help=documentation.doc)
        return
    default = " ".join(item.default) if isinstance(item.default, tuple) else item.default
    details = [
        documentation.range_text(),
        "" if default in ("", None) or isinstance(default, bool) else f"default {default}",
    ]
    details.append(f"or {documentation.env}=" if documentation.env else "")
    text = f"{documentation.doc} ({'; '.join(filter(None, details))})" if any(details) else documentation.doc
    text = text.replace("%", "%%")
    if hint is bool:
        parser.add_argument(flag_of(item.name), action=argparse.BooleanOptionalAction, default=None, help=text)
    elif documentation.choices:
        parser.add_argument(flag_of(item.name), choices=documentation.choices, help=text)
    else:
        parser.add_argument(flag_of(item.name), metavar=item.name.rpartition("_")[2].upper(), help=text)


def _stop(signal_number: int, _: FrameType | None) -> None:
    raise SystemExit(128 + signal_number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    try:
        sys.exit(main(sys.argv[1:], os.environ))
    except KeyboardInterrupt:
        Console().error("interrupted; what is done is kept, and the same command goes on from here")
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
