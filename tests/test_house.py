"""The rules of the house: layers, rows, knobs, documentation."""

from __future__ import annotations

import ast
import dataclasses
import re
import subprocess
from pathlib import Path
from typing import get_type_hints

import pytest

from pipeline import config
from pipeline.__main__ import build_parser
from pipeline.knobs import Knobs, knob_doc
from pipeline.phases import COMMANDS, PHASES, Command, Phase, with_earlier
from pipeline.provenance import imported_modules, module_file

ROOT = Path(__file__).parents[1]
LINES = ("factory", "egoexo", "correspondence")
# From the top down: a module imports from its own layer only where that layer is not a line, and from those below.
LAYERS = (
    (
        "__main__",
        "line",
        "list_clips",
        "list_takes",
        "status",
        "doctor",
        "doctor_egoexo",
        "tiny_model",
        "plan",
        "demo",
        "demo_factory",
        "demo_egoexo",
    ),
    ("units",),
    ("runner",),
    ("step",),
    ("phases", "provenance", "redo"),
    LINES,
    ("console",),
    ("models",),
    ("ops",),
    ("job",),
    ("config", "config_correspondence", "config_egoexo", "paths"),
    ("knobs",),
    ("schema",),
    ("errors",),
)
DEPTH = {name: depth for depth, names in enumerate(LAYERS) for name in names}
SOURCES = sorted((ROOT / "pipeline").rglob("*.py"))
ALL_KNOBS = [config.CommonKnobs, *(row.knobs for row in (*PHASES, *COMMANDS))]


def part_of(module: str) -> str:
    return module.split(".")[1]


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_downwards(source: Path) -> None:
    here = source.relative_to(ROOT / "pipeline").parts[0].removesuffix(".py")
    if here == "__init__":
        return
    phase_modules = {row.module for row in PHASES}
    for module in imported_modules(ast.parse(source.read_bytes())):
        if module_file(module) is None or module == "pipeline":
            continue
        there = part_of(module)
        assert DEPTH[there] >= DEPTH[here], f"{source} imports {module}, which lies above it"
        if here in LINES:
            assert there not in LINES or there == here, f"{source}: a line imports another line"
            assert module not in phase_modules, f"{source}: a phase file imports another phase file"


@pytest.mark.parametrize(
    "name",
    [
        "schema",
        "errors.py",
        "config.py",
        "config_egoexo.py",
        "knobs.py",
        "paths.py",
        "phases.py",
        "step.py",
        "runner.py",
    ],
)
def test_light_layers_import_no_heavy_library(name: str) -> None:
    place = ROOT / "pipeline" / name
    for source in [place] if place.is_file() else place.glob("*.py"):
        roots = {module.partition(".")[0] for module in imported_modules(ast.parse(source.read_bytes()))}
        heavy = roots & {"numpy", "torch", "transformers", "cv2", "av"}
        assert not heavy, f"{source} imports {heavy}"


@pytest.mark.parametrize("row", PHASES, ids=lambda row: row.name)
def test_every_phase_has_help_module_test_and_readme_row(row: Phase) -> None:
    assert row.help, row
    file = module_file(row.module)
    assert file is not None
    for function in ("run", "inputs", "products"):
        assert re.search(rf"^def {function}\(", file.read_text(), re.MULTILINE), f"{file} has no {function}()"
    name = f"test_{file.stem}.py" if row.line == "factory" else f"test_{row.line}_{file.stem}.py"
    assert (ROOT / "tests" / name).exists(), f"no tests/{name}"
    readme = (ROOT / "README.md").read_text()
    assert re.search(rf"^\| \**`{row.name}`\** \|", readme, re.MULTILINE), f"README has no row for {row.name}"


@pytest.mark.parametrize("row", COMMANDS, ids=lambda row: row.name)
def test_every_command_has_help_module_and_mention(row: Command) -> None:
    assert row.help
    assert module_file(row.module) is not None
    assert row.name in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("knobs", ALL_KNOBS, ids=lambda knobs: knobs.__name__)
def test_every_knob_has_default_doc_and_range(knobs: type[Knobs]) -> None:
    knobs()  # every knob has a default, and the defaults lie within their ranges
    for item in dataclasses.fields(knobs):
        documentation = knob_doc(item)
        assert len(documentation.doc) > 8, item.name
        assert get_type_hints(knobs)[item.name] is bool or documentation.range_text(), f"{item.name} has no range"


def test_knobs_of_one_name_mean_one_thing() -> None:
    rows: dict[str, object] = {}
    for knobs in (row.knobs for row in PHASES):
        for item in dataclasses.fields(knobs):
            assert rows.setdefault(item.name, knob_doc(item)) == knob_doc(item), item.name


def test_rows_are_in_the_order_data_flows() -> None:
    names = [row.name for row in PHASES]
    for row in PHASES:
        assert all(names.index(earlier) < names.index(row.name) for earlier in row.needs)
    assert [row.name for row in with_earlier("annotate")] == ["download", "extract", "annotate"]


def test_make_help_lists_every_row() -> None:
    text = subprocess.run(["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for row in (*PHASES, *COMMANDS):
        assert re.search(rf"^  {row.name} +{re.escape(row.help)}$", text, re.MULTILINE), row.name


def test_every_subcommand_answers_to_help(capsys: pytest.CaptureFixture[str]) -> None:
    for row in (*PHASES, *COMMANDS):
        with pytest.raises(SystemExit) as stop:
            build_parser().parse_args([row.name, "--help"])
        assert stop.value.code == 0
        assert "--clip" in capsys.readouterr().out


def test_data_holds_nothing_tracked_but_its_readme() -> None:
    tracked = subprocess.run(["git", "ls-files", "data"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert tracked.split() == ["data/README.md"]
