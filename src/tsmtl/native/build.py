"""Compile a kernel, once per machine, source and compiler, and keep it in a folder of the user's.

A library's name tells what it was compiled for and from, and ends with a hash of its own content: one for another
processor, or by another source or compiler, is not found, and one that is cut short or changed is not loaded. It is
written beside and then renamed, so that processes that compile at once see whole files alone.
"""

import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tsmtl.config.processor import processor_flags

log = logging.getLogger(__name__)
SOURCES = Path(__file__).parent
MEND = "install g++ or clang++, or name a compiler by the environment variable CXX"
# Without -ffast-math and -Ofast, with which a library that is loaded lets the whole process take denormal numbers for
# zero. What is given of them changes no number, but that a product and a sum round once instead of twice.
FLAGS = [
    *("-std=c++17", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-fno-exceptions", "-fno-rtti"),
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast"),
]
AVX2 = ("avx2", "fma")
AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl")
TIME_LIMIT = 300  # seconds; a kernel takes half a one to four
LEFT_BEHIND = 3600  # seconds after which nobody is compiling in a folder any more


class NativeError(RuntimeError):
    """Native kernels cannot be had here; says why, and what would help."""


def instruction_set() -> tuple[str, ...]:
    """Give the extensions to the machine's first instruction set that are compiled for, by the compilers' names.

    None where the system does not tell them, and on other machines than x86, whose first set is what compilers take.
    """
    known = processor_flags() or set()
    return tuple(flag for group in (AVX2, AVX512) if known.issuperset((*AVX2, *group)) for flag in group)


def built(name: str) -> Path:
    """Give the compiled library of a source, compiled now if the cache does not hold it.

    Args:
        name: Of ``NAME.cpp`` in this folder.

    Raises:
        NativeError: If there is no compiler, it fails, or the cache cannot be written.
    """
    command, stem = _command(name)
    folder = cache_folder()
    with _of_the_cache(folder):
        if (path := _in(folder, stem)) is not None:
            return path
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_left_behind(folder)
        with tempfile.TemporaryDirectory(prefix=".compiling-", dir=folder) as inside:
            made = Path(inside) / f"{name}.so"
            _compile([*command, "-o", str(made), str(SOURCES / f"{name}.cpp")])
            path = folder / _named(stem, made)
            made.replace(path)
    log.info("native: compiled %s", path)
    return path


def kept(name: str) -> bool:
    """Say whether :func:`built` finds a library in the cache, and need not compile.

    Raises:
        NativeError: If there is no compiler, it fails, or the cache cannot be read.
    """
    _, stem = _command(name)
    folder = cache_folder()
    with _of_the_cache(folder):
        return _in(folder, stem) is not None


def cache_folder() -> Path:
    """Give the folder that compiled kernels are kept in, which need not exist.

    Raises:
        NativeError: If the user has no home folder, and names no other.
    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if os.path.isabs(given) else Path(os.path.expanduser("~")) / ".cache"
    if not base.is_absolute():
        raise NativeError("there is no home folder to keep compiled kernels in; XDG_CACHE_HOME names another folder")
    return base / "tsmtl"


def _remove_left_behind(folder: Path) -> None:
    """Remove what processes left that were killed while they compiled."""
    for path in folder.glob(".compiling-*"):
        with suppress(FileNotFoundError):  # another process ends, or removes it too
            if time.time() - path.stat().st_mtime > LEFT_BEHIND:
                shutil.rmtree(path, ignore_errors=True)


def _command(name: str) -> tuple[list[str], str]:
    """Give the command that compiles a source, but for its files, and what a library made so is named by."""
    compiler = _compiler()
    extensions = instruction_set()
    flags = [*FLAGS, *(f"-m{extension}" for extension in extensions)]
    made_from = hashlib.sha256()
    for path in [*sorted(SOURCES.glob("*.h")), SOURCES / f"{name}.cpp"]:
        made_from.update(path.read_bytes())
    made_from.update(repr((compiler, _version(compiler), flags)).encode())
    return [*compiler, *flags], "-".join([name, platform.machine(), *extensions, made_from.hexdigest()[:16]])


@contextmanager
def _of_the_cache(folder: Path) -> Iterator[None]:
    """Say of what the system refuses that it is the cache's."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise NativeError(
            f"{folder}, where compiled kernels are kept, cannot be used ({reason}); XDG_CACHE_HOME names another folder"
        ) from error


def _in(folder: Path, stem: str) -> Path | None:
    return next((path for path in folder.glob(f"{stem}-*.so") if path.name == _named(stem, path)), None)


def _compiler() -> list[str]:
    """Give the command of the compiler, with what the user has it always take."""
    if given := os.environ.get("CXX", "").strip():
        try:
            words = shlex.split(given)
        except ValueError as error:
            raise NativeError(f"CXX cannot be read as a command ({error}): {given}; {MEND}") from error
        found = shutil.which(words[0])
        if found is None:
            raise NativeError(f"CXX names the compiler {words[0]}, which is not there; {MEND}")
        return [found, *words[1:]]
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    raise NativeError(f"there is no C++ compiler; {MEND}")


def _version(compiler: list[str]) -> str:
    return _run([*compiler, "--version"], dict(os.environ))


def _compile(command: list[str]) -> None:
    made = Path(command[command.index("-o") + 1])
    # What it writes on the way lies there too, so that one disk alone may be full.
    _run(command, {**os.environ, "TMPDIR": str(made.parent)})
    if not made.is_file():  # a compiler that says nothing of a failure is no compiler
        raise NativeError(f"{command[0]} left no library; {MEND}")


def _run(command: list[str], environment: dict[str, str]) -> str:
    """Run the compiler; give what it says."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIME_LIMIT,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NativeError(f"the compiler {command[0]} does not run ({error}); {MEND}") from error
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        if full := next((line for line in lines if "No space left" in line), None):
            raise NativeError(f"the disk of {cache_folder()} is full ({full}); XDG_CACHE_HOME names another folder")
        said = next((line for line in lines if "error" in line.lower()), lines[0] if lines else "without a word")
        raise NativeError(f"the compiler {command[0]} failed ({said}); {MEND}")
    return done.stdout


def _named(stem: str, path: Path) -> str:
    """Name a library by its content."""
    return f"{stem}-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}.so"
