"""Run all benchmarks, or those named, and print one table; exit status 1 when a promise does not hold.

`python -m benchmarks [NAME …]`; EGOPIPE_SAMPLES=folder of a shard measures on its clips as well.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys

import benchmarks
from benchmarks.table import Row, print_table


def main(wanted: list[str]) -> int:
    """Each `bench_*.py` has a `run()` that returns rows."""
    known = [module.name for module in pkgutil.iter_modules(benchmarks.__path__) if module.name.startswith("bench_")]
    names = [name if name.startswith("bench_") else f"bench_{name}" for name in wanted] or known
    if unknown := sorted(set(names) - set(known)):
        print(f"no benchmark {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names:
        print(f"{name} …", file=sys.stderr)
        rows += importlib.import_module(f"benchmarks.{name}").run()
    print_table(rows)
    return 1 if any(row.ok is False for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
