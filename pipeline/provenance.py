"""Digests of files and code, and the versions that made a product."""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.metadata
import resource
import sys
from pathlib import Path

from pipeline.schema.manifest import FileDigest

PACKAGE = Path(__file__).parent
HEAD_BYTES = 4 << 20
LIBRARIES = (
    "accelerate", "av", "boto3", "ego4d", "huggingface-hub", "llguidance", "numba", "numpy", "opencv-python-headless",
    "pycocotools", "pydantic", "qwen-vl-utils", "torch", "torchvision", "transformers",
)  # fmt: skip


def digest_file(path: Path, known: FileDigest | None = None) -> FileDigest:
    """Size, time and SHA-256 of one file; a digest taken at the same size and time is trusted."""
    status = path.stat()
    if known and (known.size_bytes, known.modified_ns) == (status.st_size, status.st_mtime_ns):
        sha256 = known.sha256
    else:
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return FileDigest(path=str(path), size_bytes=status.st_size, modified_ns=status.st_mtime_ns, sha256=sha256)


def digest_tree(folder: Path) -> FileDigest:
    """Digest of a folder: names and sizes of all files below it, which tells what is gone or cut off at little cost."""
    files = sorted((str(file.relative_to(folder)), file.stat().st_size) for file in folder.rglob("*") if file.is_file())
    listing = "\n".join(f"{name}\0{size_bytes}" for name, size_bytes in files)
    return FileDigest(
        path=str(folder),
        size_bytes=sum(size_bytes for _, size_bytes in files),
        modified_ns=0,
        sha256=hashlib.sha256(listing.encode()).hexdigest(),
    )


def digest_content(path: Path) -> str:
    """SHA-256 (hex) of a file, or of a folder's files: names, sizes, and as much of each as HEAD_BYTES.

    The head of a weights file names its tensors; hashing all of 16 GB at every start would cost more than it is worth.
    """
    if path.is_file():
        return digest_file(path).sha256
    digest = hashlib.sha256()
    for file in sorted(child for child in path.iterdir() if child.is_file()):
        digest.update(f"{file.name}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as stream:
            digest.update(stream.read(HEAD_BYTES))
    return digest.hexdigest()


def module_file(module: str) -> Path | None:
    """Source file of a module of this package; None for anything else."""
    parts = module.split(".")
    if parts[0] != PACKAGE.name:
        return None
    base = PACKAGE.joinpath(*parts[1:])
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def imported_modules(tree: ast.AST) -> set[str]:
    """All modules named in import statements anywhere in the tree."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@functools.cache
def code_sha256(module: str) -> str:
    """Digest of a module and of every module of this package that it imports, directly or not.

    Comments and layout do not count, so that an edit which changes nothing makes nothing stale.
    """
    seen: dict[str, str] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = module_file(name)
        if file is None or str(file) in seen:
            continue
        tree = ast.parse(file.read_bytes())
        seen[str(file)] = f"{file.relative_to(PACKAGE)}:{ast.dump(tree)}"
        waiting += imported_modules(tree)
    return hashlib.sha256("\n".join(sorted(seen.values())).encode()).hexdigest()


@functools.cache
def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that shape products."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # an image holds its own line's libraries only
    return versions


def restart_peak_memory() -> None:
    """Count the peak anew from here, where the system allows it, so that each unit gets its own."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory_bytes() -> int:
    """Largest resident size of this process since it began or since `restart_peak_memory`.

    On Linux from /proc: what getrusage tells is inherited from the process that started this one.
    """
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
