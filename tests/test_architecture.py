"""The layout that the code promises: imports point one way, and the package keeps its own rules."""

import ast

import pytest

from tests.conftest import ROOT
from tsmtl.config.representation_settings import REPRESENTATIONS

SOURCE = ROOT / "src" / "tsmtl"
RANKS = {
    "config": 0,
    "storage": 1,
    "native": 1,
    "data": 2,
    "models": 2,
    "tasks": 2,
    "weighting": 2,
    "checkpoint": 2,
    "training": 3,
    "representation": 3,
    "report": 3,
    "tracking": 3,
    "sweep": 4,
    "comparison": 5,
}
FILES = {file: ast.parse(file.read_text()) for file in sorted(SOURCE.rglob("*.py"))}


def imports_of(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


IMPORTS = {file: imports_of(tree) for file, tree in FILES.items()}


@pytest.mark.parametrize("folder", RANKS)
def test_a_folder_imports_only_folders_of_lower_rank(folder):
    files = [file for file in FILES if file.relative_to(SOURCE).parts[0] == folder]
    assert files
    for file in files:
        for module in IMPORTS[file]:
            parts = module.split(".")
            if parts[0] != "tsmtl":
                continue
            assert len(parts) > 1, f"{file}: imports the package itself"
            assert parts[1] in RANKS, f"{file}: imports {module}, which wires the folders"
            assert parts[1] == folder or RANKS[parts[1]] < RANKS[folder], f"{file}: imports {module}"


def test_every_folder_has_a_rank():
    assert {path.parent.name for path in SOURCE.glob("*/*.py")} == set(RANKS)


def test_files_are_short_and_print_nothing():
    for file, tree in FILES.items():
        assert len(file.read_text().splitlines()) <= 300, f"{file}: two jobs? split it by job"
        calls = [n.func.id for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)]
        assert "print" not in calls, file
        assert file.stem not in {"utils", "helpers", "misc", "common"}, file


def test_nothing_catches_everything_silently():
    for file, tree in FILES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                assert node.type is not None, f"{file}: a bare except"
                assert not all(isinstance(statement, ast.Pass) for statement in node.body), f"{file}: a silent except"


def test_trackers_are_imported_by_their_own_modules_alone_and_those_when_asked_for():
    for package in ("mlflow", "tensorboard"):
        importing = [file for file in FILES if any(m.split(".")[0] == package for m in IMPORTS[file])]
        assert importing == [SOURCE / "tracking" / f"{package}.py"]
        for file, tree in FILES.items():
            at_once = {n.module for n in tree.body if isinstance(n, ast.ImportFrom)}
            assert f"tsmtl.tracking.{package}" not in at_once, file


@pytest.mark.parametrize("model", ["lstm", "gru", "cnn1d", "lstm_fcn", "lstm_fcn_multi", "fc"])
def test_one_name_runs_through(model):
    stem = "lstm_fcn" if model == "lstm_fcn_multi" else model
    assert (ROOT / "configs" / "model" / f"{model}.yaml").is_file()
    assert (SOURCE / "models" / f"{stem}.py").is_file()
    assert (ROOT / "tests" / "models" / f"test_{stem}.py").is_file()


@pytest.mark.parametrize("method", sorted(REPRESENTATIONS))
def test_one_name_runs_through_the_representations(method):
    assert (ROOT / "configs" / "representation" / f"{method}.yaml").is_file()
    assert (SOURCE / "representation" / f"{method}.py").is_file()
    assert (ROOT / "tests" / "representation" / f"test_{method}.py").is_file()


def test_test_files_in_folders_have_names_of_their_own():
    """Pytest imports them by their names alone: two of one name are not run."""
    names = [path.name for path in (ROOT / "tests").glob("*/**/test_*.py")]
    assert sorted(names) == sorted(set(names))
