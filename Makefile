# Phases as targets. Parameters: CLIP= MODEL= REPO= PROMPT= VIDEO= INTRINSICS=, SCENARIO= NAME= TAKES= ONLY= RELEASE= PARTS= SPLIT=, DATA= REDO= ENGINE=auto|docker|podman|native ARGS="--flags"
# Given on the command line they reach the pipeline by the environment, under the same names.

SHELL := bash
ENGINE ?= auto
PYTHON := .venv/bin/python
# The rows of pipeline/phases.py are the one list of phases and commands.
PHASES := $(shell sed -n 's/^        name="\(.*\)",$$/\1/p' pipeline/phases.py)
COMMAND_ROWS := awk -F'"' '/^    Command\(/ { row = "" } { row = row $$0 } /\),$$/ && row ~ /^    Command\(/ { split(row, part, "\""); print part[2] "\t" part[4]; row = "" }' pipeline/phases.py
COMMANDS := $(shell $(COMMAND_ROWS) | cut -f1)

.DEFAULT_GOAL := help
.PHONY: help all egoexo $(PHASES) $(COMMANDS) test test-fast check bench bench-gpu pins clean

help: ## this list
	@echo "Phases (make PHASE first makes what is missing of the earlier ones):"
	@awk -F'"' '/^        name="/ { name = $$2 } /^        help="/ { printf "  %-16s %s\n", name, $$2 }' pipeline/phases.py
	@echo "Commands:"
	@$(COMMAND_ROWS) | awk -F'\t' '{ printf "  %-16s %s\n", $$1, $$2 }'
	@awk -F' ## ' '/^[a-z-]+:.* ## / { sub(/:.*/, "", $$1); printf "  %-16s %s\n", $$1, $$2 }' Makefile
	@sed -n '1s/^# Phases as targets. //p' Makefile

all: ## the whole factory line for CLIP= (default: two clips of Egocentric-100K)
	@ENGINE=$(ENGINE) bash run.sh all $(ARGS)

egoexo: ## the whole Ego-Exo4D line for SCENARIO= (cooking, health, …) or NAME= TAKES=
	@ENGINE=$(ENGINE) bash run.sh egoexo $(ARGS)

$(PHASES):
	@ENGINE=$(ENGINE) bash run.sh $@ --with-earlier $(ARGS)

$(COMMANDS):
	@ENGINE=$(ENGINE) bash run.sh $@ $(ARGS)

.venv/.pins-dev: requirements.txt requirements-dev.txt
	@bash run.sh setup dev && touch $@

test: .venv/.pins-dev ## every test that runs without a GPU, a container engine or a browser
	$(PYTHON) -m pytest -n 2 --dist worksteal -m "not gpu and not containers and not browser" $(ARGS)

test-fast: .venv/.pins-dev ## only the quick tests
	$(PYTHON) -m pytest -n 2 --dist worksteal $(ARGS)

check: .venv/.pins-dev ## format and lint, mending what can be mended
	$(PYTHON) -m ruff check --fix . && $(PYTHON) -m ruff format . && $(PYTHON) -m mypy && .venv/bin/shellcheck run.sh .ci/run

bench: .venv/.pins-dev ## speed and memory against the plain way, as a table
	$(PYTHON) -m benchmarks $(ARGS)

bench-gpu: .venv/.pins-dev ## the 7B architecture with random weights within 23 GiB of a CUDA card
	$(PYTHON) -m benchmarks.gpu_annotate $(ARGS)

PIN := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-header --no-annotate
pins: .venv/.pins-dev ## compile the exact pins from the ranges in pyproject.toml
	$(PIN) --group annotate --group preprocess --group train --output-file requirements.txt
	$(PIN) --group dev --constraint requirements.txt --output-file requirements-dev.txt

clean: ## remove environments and caches; never data
	rm -rf .venv .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks
	find pipeline tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
