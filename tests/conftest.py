"""Fixtures that several test folders share."""

import gc
import importlib
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

os.environ["OMP_NUM_THREADS"] = "1"  # the tests run side by side; two threads of each would wait for each other
# Else each process of the tests would compile all of tsmtl anew, and pytest its own files.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
ROOT = Path(__file__).resolve().parents[1]
CHILDREN = ROOT / "tests/children"  # what processes that tests start read first
MODULES = {"tsmtl-report": "report_folder"}  # of commands that are called otherwise
DATA = Path(os.environ.get("TSMTL_DATA", ROOT / "../shared/data")).resolve()


@dataclass(frozen=True)
class Answer:
    """What a command left: exit code, output, errors, and the run folders below the current folder."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.err.splitlines()


@pytest.fixture(scope="session", autouse=True)
def _spared() -> Iterator[None]:
    """Spare this process what Hydra does again and again, and the waits for the disk; its children have their own."""
    from tests.remembered import remembered_configs

    gc.collect()
    gc.freeze()  # all tests are imported by now: searches for garbage that pass over that take a third of the time
    with remembered_configs(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)  # a loss of power alone tells the difference
        patch.setenv("PYTHONPATH", str(CHILDREN), prepend=os.pathsep)
        yield


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by tests whose runs draw their pictures, here and in processes that they start."""
    monkeypatch.setenv("PYTHONPATH", os.environ["PYTHONPATH"].removeprefix(str(CHILDREN)).removeprefix(os.pathsep))


@pytest.fixture(autouse=True)
def _no_pictures(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the runs in this process their pictures, which take longer than the small trainings of most tests."""
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr("tsmtl.run.draw_run", lambda *given: None)


@pytest.fixture(autouse=True)
def _no_gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the tests, and what they start, on the CPU, where they hold to the last bit; but for those of GPUs."""
    if request.module.__name__ != "tests.test_gpu":
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


@pytest.fixture
def jobs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by tests whose sweeps may run in this process."""
    from tests.jobs_here import JobsHere

    monkeypatch.setattr("tsmtl.sweep.runners.Pool", JobsHere)


@pytest.fixture
def compose() -> Callable[..., Any]:
    """Settings as the command line would compose and check them."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir

    from tsmtl.config.arguments import plain_settings, prepare_arguments, typed_keys
    from tsmtl.config.location import config_dir
    from tsmtl.config.schema import check

    def settings(*arguments: str) -> Any:
        overrides = prepare_arguments(list(arguments))
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            return check(plain_settings(hydra_compose("train", overrides)), typed_keys(overrides))

    return settings


@pytest.fixture
def command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Answer]]:
    """Run a command in this process, in an empty folder."""

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TSMTL_DATA", str(DATA))
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    # Hydra composes a third time to read hydra.mode, which nothing sets: a seventh of a small run.
    monkeypatch.setattr("hydra._internal.hydra.Hydra.get_mode", lambda *given, **named: None)

    def run(name: str, *arguments: str) -> Answer:
        module = MODULES.get(name, name.removeprefix("tsmtl-").replace("-", "_"))
        cli = importlib.import_module(f"tsmtl.{module}").cli
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        code = 0
        try:
            cli()
        except SystemExit as leaving:
            code = int(leaving.code or 0)
        captured = capfd.readouterr()
        return Answer(code, captured.out, captured.err)

    return run


@pytest.fixture
def tsmtl_train(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Run ``tsmtl-train`` in this process, in an empty folder."""
    return partial(command, "tsmtl-train")


@pytest.fixture
def tsmtl_predict(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Run ``tsmtl-predict`` in this process, in an empty folder."""
    return partial(command, "tsmtl-predict", "device=cpu")


@pytest.fixture
def tsmtl_evaluate(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Run ``tsmtl-evaluate`` in this process, in an empty folder."""
    return partial(command, "tsmtl-evaluate", "device=cpu")


@pytest.fixture
def tsmtl_export(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Run ``tsmtl-export`` in this process, in an empty folder."""
    return partial(command, "tsmtl-export")


@pytest.fixture
def tsmtl_compare(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Run ``tsmtl-compare`` in this process, in an empty folder."""
    return partial(command, "tsmtl-compare")


@pytest.fixture
def tsmtl_report(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Run ``tsmtl-report`` in this process, in an empty folder."""
    return partial(command, "tsmtl-report")


@pytest.fixture
def tsmtl_check_data(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Run ``tsmtl-check-data`` in this process, in an empty folder."""
    return partial(command, "tsmtl-check-data")


@pytest.fixture
def tsmtl_represent(command: Callable[..., Answer]) -> Callable[..., Answer]:
    """Run ``tsmtl-represent`` in this process, in an empty folder."""
    return partial(command, "tsmtl-represent", "device=cpu")


@pytest.fixture
def stopped_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Give a function that sends SIGTERM to this process within a step of the training."""

    from tsmtl.training.optimizers import FusedAdam

    def at(step: int) -> None:
        count = 0
        inside = FusedAdam.step

        def counting(self: Any, *given: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                signal.raise_signal(signal.SIGTERM)
            return inside(self, *given)

        monkeypatch.setattr(FusedAdam, "step", counting)

    return at


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Give a run of :data:`tests.trained.CASES`, trained once."""
    from tests.trained import Training

    return Training(tmp_path_factory.mktemp("trained"))


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Vectors (N, E) whose first feature is the class and whose second is the number."""
    import numpy as np

    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 6)).astype(np.float32)
    path = tmp_path / "vectors.npz"
    np.savez(path, X=x, y_cls=(x[:, 0] > 0).astype(int), y_reg=3 * x[:, 1] + 10)
    return path


@pytest.fixture
def series(tmp_path: Path) -> dict[str, Any]:
    """The arrays of ``series.npz``, which is what tests of vectors represent."""
    from tests.represented import write_series

    return write_series(tmp_path)


@pytest.fixture
def run_folder(tmp_path: Path) -> Callable[[], Path]:
    """The one run folder of a test."""

    def find() -> Path:
        (folder,) = [p for p in (tmp_path / "outputs").glob("*/*") if p.is_dir()]
        return folder

    return find


def public_data(name: str) -> Any:
    """Skip where a public data set is not there."""
    return pytest.mark.skipif(
        not (DATA / name).is_dir(), reason=f"the folder with the public data sets has no {name} (TSMTL_DATA)"
    )


needs_compiler = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler is installed here (g++ or clang++)"
)
