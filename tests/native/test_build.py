"""Kernels are compiled once per source, compiler and processor, whole or not at all."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import needs_compiler
from tsmtl.native import NativeError
from tsmtl.native.build import FLAGS, SOURCES, _compile, built, cache_folder, instruction_set, kept


def libraries(folder):
    return sorted(path.name for path in folder.glob("*.so"))


def compiler(tmp_path, monkeypatch, script):
    """Let CXX be a script."""
    path = tmp_path / "compiler"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("CXX", str(path))


@needs_compiler
def test_a_source_is_compiled_once_and_again_when_it_or_its_header_changes(sources, cache, monkeypatch):
    first = built("times")
    assert first.parent == cache
    with monkeypatch.context() as patch:
        patch.setattr("tsmtl.native.build._compile", lambda command: pytest.fail("it is there"))
        assert built("times") == first
    (sources / "factor.h").write_text("#define FACTOR 3.0f\n")
    second = built("times")
    (sources / "times.cpp").write_text((sources / "times.cpp").read_text() + "// more\n")
    third = built("times")
    assert len({first, second, third}) == 3
    assert libraries(cache) == sorted(path.name for path in (first, second, third))
    assert [path for path in cache.iterdir() if path.suffix != ".so"] == [], "nothing is left of the compiling"


@needs_compiler
def test_what_the_cache_holds_is_known_without_compiling(sources, cache):
    assert not kept("times")
    assert not cache.exists()
    path = built("times")
    assert kept("times")
    path.rename(path.with_name(path.name.replace(".so", "0.so")))  # not named by its content
    assert not kept("times")


@needs_compiler
@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1])])
def test_a_library_that_was_cut_short_or_changed_is_compiled_anew(sources, cache, damage):
    path = built("times")
    whole = path.read_bytes()
    path.unlink()  # not written into: this process may hold it
    path.write_bytes(damage(whole))
    again = built("times")
    assert again.read_bytes() == whole


@needs_compiler
def test_a_library_for_another_processor_is_not_taken(sources, cache, monkeypatch, tmp_path):
    here = built("times")
    (tmp_path / "cpuinfo").write_text("flags : fpu sse2\n")
    monkeypatch.setattr("tsmtl.config.processor.CPUINFO", tmp_path / "cpuinfo")
    plain = built("times")
    assert "avx" not in plain.name
    assert (here == plain) == (not any(extension in here.name for extension in ("avx2", "avx512f")))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("sse2 avx2", ()),
        ("sse2 avx2 fma", ("avx2", "fma")),
        ("fma avx2 avx512f avx512cd", ("avx2", "fma")),
        ("fma avx2 avx512f avx512bw avx512dq avx512vl", ("avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl")),
        ("avx512f avx512bw avx512dq avx512vl", ()),
    ],
)
def test_extensions_are_those_that_the_processor_names_in_whole_groups(tmp_path, monkeypatch, flags, expected):
    (tmp_path / "cpuinfo").write_text(f"flags\t: fpu {flags}\n")
    monkeypatch.setattr("tsmtl.config.processor.CPUINFO", tmp_path / "cpuinfo")
    assert instruction_set() == expected


def test_another_machine_than_x86_or_one_that_does_not_tell_has_what_compilers_take_first(tmp_path, monkeypatch):
    monkeypatch.setattr("tsmtl.config.processor.CPUINFO", tmp_path / "cpuinfo")
    assert instruction_set() == ()
    (tmp_path / "cpuinfo").write_text("Features : fp asimd\n")
    assert instruction_set() == ()


def test_no_flag_changes_how_a_process_rounds():
    assert not {"-ffast-math", "-Ofast", "-funsafe-math-optimizations"} & set(FLAGS)


@pytest.mark.parametrize("given", ["", "relative/path"])
def test_the_cache_is_the_users_own_unless_a_whole_path_is_given(monkeypatch, tmp_path, given):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", given)
    assert cache_folder() == tmp_path / ".cache" / "tsmtl"


@needs_compiler
def test_processes_that_compile_at_once_each_have_a_whole_library(sources, cache):
    code = """
import ctypes, os, pathlib, sys
import tsmtl.native.build as build
build.SOURCES = pathlib.Path(sys.argv[1])
children = []
for _ in range(4):  # forked, so that they begin at once
    children.append(os.fork())
    if not children[-1]:
        path = build.built("times")
        to = (ctypes.c_float * 2)()
        ctypes.CDLL(str(path)).times(ctypes.c_int64(2), (ctypes.c_float * 2)(1, 4), to)
        os.write(1, f"{path.name} {to[0]} {to[1]}\\n".encode())
        os._exit(0)
assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
"""
    command = [sys.executable, "-c", code, str(sources)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    said = [line.split() for line in done.stdout.splitlines()]
    assert [words[1:] for words in said] == [["2.0", "8.0"]] * 4
    assert {words[0] for words in said} <= set(libraries(cache))


def test_without_a_compiler_the_reason_says_what_to_install(sources, cache, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NativeError, match=r"^there is no C\+\+ compiler; install g\+\+ or clang\+\+, or name"):
        built("times")
    assert not cache.exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("nowhere++ -O1", r"CXX names the compiler nowhere\+\+, which is not there; install"),
        ('g++ "', r"CXX cannot be read as a command \(No closing quotation\): g\+\+ \"; install"),
        ("false", r"the compiler .*false failed \(without a word\); install"),
        ("true", r"true left no library; install"),
    ],
)
def test_a_compiler_that_is_none_is_named(sources, cache, monkeypatch, given, said):
    monkeypatch.setenv("CXX", given)
    with pytest.raises(NativeError, match=said):
        built("times")


def test_a_compiler_that_fails_is_quoted_with_its_error(sources, cache, monkeypatch, tmp_path):
    script = (
        "[ $1 = --version ] && exit 0\necho 'times.cpp: In function' >&2\necho 'times.cpp:1: error: no' >&2\nexit 1"
    )
    compiler(tmp_path, monkeypatch, script)
    with pytest.raises(NativeError, match=r"compiler failed \(times.cpp:1: error: no\); install"):
        built("times")
    assert libraries(cache) == []


@needs_compiler
def test_another_version_of_the_compiler_compiles_anew(sources, cache, monkeypatch, tmp_path):
    names = set()
    for version in (1, 2):
        compiler(tmp_path, monkeypatch, f'[ $1 = --version ] && echo {version} && exit 0\nexec c++ "$@"')
        names.add(built("times"))
    assert len(names) == 2


@needs_compiler
def test_a_cache_that_cannot_be_written_is_named(sources, cache):
    cache.parent.write_text("a file where a folder is to be")
    with pytest.raises(NativeError, match=rf"^{cache}, where compiled kernels are kept, cannot be used \(.*\); XDG_"):
        built("times")


@needs_compiler
def test_a_library_appears_under_its_name_whole(sources, cache, monkeypatch):
    """It is the very file that was compiled elsewhere: one that is written under its name appears empty at first."""
    made = []

    def compiled(command):
        _compile(command)
        path = Path(command[command.index("-o") + 1])
        made.append((path.parent, path.stat().st_ino))

    monkeypatch.setattr("tsmtl.native.build._compile", compiled)
    path = built("times")
    ((folder, inode),) = made
    assert folder != cache
    assert inode == path.stat().st_ino


@needs_compiler
def test_what_killed_compilations_left_is_removed_and_not_what_is_under_way(sources, cache):
    old, new = cache / ".compiling-old", cache / ".compiling-new"
    for folder in (old, new):
        folder.mkdir(parents=True)
        (folder / "times.so").touch()
    os.utime(old, (0, 0))
    built("times")
    assert not old.exists()
    assert new.exists()


def test_a_full_disk_is_named_and_not_the_compilers_fault(sources, cache, monkeypatch, tmp_path):
    said = "/usr/bin/ld: final link failed: No space left on device\ncollect2: error: ld returned 1 exit status"
    compiler(tmp_path, monkeypatch, f"[ $1 = --version ] && exit 0\necho '{said}' >&2\nexit 1")
    with pytest.raises(NativeError) as raised:
        built("times")
    assert str(raised.value) == (
        f"the disk of {cache} is full (/usr/bin/ld: final link failed: No space left on device); "
        "XDG_CACHE_HOME names another folder"
    )


@needs_compiler
def test_a_compiler_writes_to_the_disk_of_the_cache_alone(sources, cache, monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "full"))
    script = '[ $1 = --version ] || echo "$TMPDIR" > "$0.asked"\nexec c++ "$@"'
    compiler(tmp_path, monkeypatch, script)
    assert built("times").parent == cache
    (asked,) = (tmp_path / "compiler.asked").read_text().splitlines()
    assert Path(asked).parent == cache
    assert not Path(asked).exists()


def test_without_a_home_folder_none_is_made_where_the_process_stands(sources, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "~")  # as os.path.expanduser gives it where nothing says which
    with pytest.raises(NativeError, match="there is no home folder"):
        built("times")
    assert not (tmp_path / "~").exists()


@needs_compiler
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_cache_that_may_not_be_written_is_named(sources, cache):
    cache.mkdir(parents=True)
    cache.chmod(0o500)
    with pytest.raises(NativeError, match=r"cannot be used \(Permission denied\)"):
        built("times")


@pytest.mark.parametrize("source", sorted(SOURCES.glob("*.[ch]*")), ids=lambda path: path.name)
def test_kernels_allocate_nothing(source):
    """Compiled without exceptions, an allocation that fails would end the process."""
    assert not re.search(r"std::vector|std::string|malloc|unique_ptr|\bnew \w+[\[({;]", source.read_text())
