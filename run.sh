#!/usr/bin/env bash
# bash run.sh all | egoexo | demo | PHASE [--flags]    sets up what is missing, then runs it here, without Docker or make
# bash run.sh setup [dev]                              only sets up (dev: with what tests need)
# Parameters by environment, as with make: CLIP= MODEL= DATA= REPO= PROMPT= REDO= VIDEO= INTRINSICS= SCENARIO= …; HF_TOKEN= or HF_KEY=
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

say() { printf '%s\n' "$*" >&2; }
fail() { say "✗ $1"; say "  → $2"; exit 2; }

# Everything that setting up writes stays inside the project folder.
export UV_CACHE_DIR="${UV_CACHE_DIR:-$PWD/.cache/uv}" UV_PYTHON_INSTALL_DIR="${UV_PYTHON_INSTALL_DIR:-$PWD/.cache/python}"
export UV_LINK_MODE="${UV_LINK_MODE:-hardlink}" PYTHONUNBUFFERED=1

works() { "$1" -c '' 2>/dev/null; } # PYTHON: its system may have been updated or moved since

suitable() { # PYTHON: is its version one that pyproject.toml allows?
    "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null
}

has_pins() { # PYTHON: does it hold every exact version of requirements.txt? (a line with a marker may be absent)
    suitable "$1" && "$1" - <<'PYTHON' 2>/dev/null
import importlib.metadata, re, sys
for name, version, marker in re.findall(r"^([\w.-]+)==(\S+)( ;)?", open("requirements.txt").read(), re.MULTILINE):
    try:
        if importlib.metadata.version(name).partition("+")[0] != version:
            sys.exit(1)
    except importlib.metadata.PackageNotFoundError:
        if not marker:
            sys.exit(1)
PYTHON
}

find_uv() { # prints the path of uv, putting it under .cache/ when the machine has none
    if command -v uv; then return; fi
    local uv=$PWD/.cache/tools/bin/uv pin
    if [[ ! -x $uv ]]; then
        command -v python3 >/dev/null || fail "there is no python3" "install Python 3.11, 3.12 or 3.13"
        pin=$(grep -oE '^uv==[0-9.]+' requirements-dev.txt)
        say "setting up: fetching $pin"
        python3 -m pip --version >/dev/null 2>&1 || fail "this python3 has no pip" "install it (Debian, Ubuntu: apt install python3-pip), or uv"
        python3 -m pip install --quiet --no-cache-dir --disable-pip-version-check --target .cache/tools "$pin" >&2 ||
            fail "$pin could not be installed" "check the network and the disk (df -h .), then run the same command again"
    fi
    printf '%s\n' "$uv"
}

digest() { cat "$@" | cksum | tr ' ' '-'; }

set_up() { # [dev]: makes .venv hold exactly the pins; a stamp, written last, says that it does
    local files=(requirements.txt) stamp=.venv/.pins uv python=3.11
    if [[ ${1:-} == dev ]]; then files+=(requirements-dev.txt) stamp=.venv/.pins-dev; fi
    if [[ -f $stamp && $(<"$stamp") == "$(digest "${files[@]}")" ]] && works .venv/bin/python; then return; fi
    uv=$(find_uv)
    if suitable python3; then python=$(command -v python3); fi
    say "setting up: a virtual environment in .venv with the exact pins (about 7 GB with CUDA; once)"
    rm -f .venv/.pins .venv/.pins-dev
    works .venv/bin/python || "$uv" venv --quiet --clear --python "$python" .venv ||
        fail "no virtual environment could be made" "install Python 3.11, 3.12 or 3.13 and run the same command again"
    "$uv" pip install --quiet --python .venv/bin/python --require-hashes "${files[@]/#/--requirement=}" ||
        fail "the pins could not be installed" "check the network and the disk (df -h .), then run the same command again"
    digest requirements.txt > .venv/.pins
    if [[ ${1:-} == dev ]]; then digest "${files[@]}" > .venv/.pins-dev; fi
}

choose_engine() { # COMMAND: doctor tells about every engine, the other commands only look
    case "$1" in doctor | status | list-clips | list-takes | tiny-model) return ;; esac
    case "${ENGINE:-native}" in
        native) ;;
        auto) say "engine: native (this version has no container images yet)" ;;
        docker | podman) fail "ENGINE=$ENGINE: this version has no container images yet" "leave ENGINE unset: everything runs natively" ;;
        *) fail "ENGINE=$ENGINE is not known" "use auto, docker, podman or native" ;;
    esac
}

case "${1:-}" in
    "" | -h | --help) sed -n '2,4s/^# //p' "$0" >&2; [[ -n ${1:-} ]] || exit 2; exit 0 ;;
    setup) set_up "${2:-}"; exit 0 ;;
esac
choose_engine "$1"
if [[ -z ${VIRTUAL_ENV:-} && -f .venv/.pins && $(<.venv/.pins) == "$(digest requirements.txt)" ]] && works .venv/bin/python; then
    python=.venv/bin/python
elif has_pins python3; then
    python=python3 # `pip install -r requirements.txt` was here before us
else
    set_up
    python=.venv/bin/python
fi
exec "$python" -m pipeline "$@"
