"""A run and its trackers: what they are told, and that nothing they do reaches the run."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.config.errors import Interrupted, Pruned
from tsmtl.config.trainer_settings import TRACKER_PACKAGES, Tracker
from tsmtl.tracking import background, run_tracking
from tsmtl.tracking.run_tracking import RunTracking, flat_settings
from tsmtl.tracking.tracker import Status, TrackedRun
from tsmtl.tracking.trackers import TRACKERS

TINY = ["model=gru", "hidden_size=4", "device=cpu", "num_epochs=2", "data.n_instances=40", "batch_size=8"]
METHODS = ("make", "start", "epochs", "results", "end")


@dataclass
class Noting:
    """A tracker that notes what it is told, and raises in one method as often as it is said."""

    raises_in: str = ""
    times: int = 10**9
    told: list[tuple[Any, ...]] = field(default_factory=list)

    def __call__(self) -> "Noting":
        self._tell("make")
        return self

    def _tell(self, method: str, *given: Any) -> None:
        if method == self.raises_in and self.times > 0:
            self.times -= 1
            raise RuntimeError(f"no {method}\nand a second line")
        self.told.append((method, *given))

    def start(self, run: TrackedRun) -> None:
        self._tell("start", run)

    def epochs(self, epochs: Any) -> None:
        self._tell("epochs", *epochs)

    def results(self, *given: Any) -> None:
        self._tell("results", *given)

    def end(self, status: Status) -> None:
        self._tell("end", status)

    @property
    def methods(self) -> list[str]:
        return [told[0] for told in self.told]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "FIRST_WAIT", 0.0)


@pytest.fixture
def track(tmp_path: Path) -> Callable[..., RunTracking]:
    """Give the tracking of a run that is not there."""

    def make(tracker: Noting, history: list[dict[str, float]]) -> RunTracking:
        return RunTracking({"noting": tracker}, TrackedRun(tmp_path, None, {}, {}, False), history)

    return make


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage().splitlines()[0] for r in caplog.records if r.levelname == "WARNING"]


def test_every_name_of_the_settings_has_a_tracker():
    assert set(get_args(Tracker)) == set(TRACKERS) == set(TRACKER_PACKAGES)


@pytest.mark.parametrize("sweep", [[], ["-m", "seed=0,1"]])
def test_a_tracker_whose_package_is_missing_is_refused_before_anything_is_trained(
    sweep, tsmtl_train, monkeypatch, tmp_path
):
    monkeypatch.setattr("tsmtl.config.trainer_rules.find_spec", lambda name: None if name == "alembic" else object())
    answer = tsmtl_train(*sweep, *TINY, "trainer.tracker=[tensorboard,mlflow]")
    assert answer.code == 2
    refusal = "trainer.tracker: mlflow is not installed: pip install 'tsmtl[track]'"
    assert all(line.endswith(refusal) for line in answer.lines)
    assert answer.lines
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The best weights of the tiny run."""
    from tsmtl.config.python_call import settings_and_folder
    from tsmtl.run import run_training

    folder = tmp_path_factory.mktemp("untracked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tsmtl.run.draw_run", lambda *given: None)
        run_training(*settings_and_folder([*TINY, f"hydra.run.dir={folder}/run"]))
    return dict(read_checkpoint(folder / "run" / "best_model.pt")["state"])


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("method", METHODS)
def test_a_tracker_that_always_raises_costs_a_run_one_line_and_no_bit(method, tsmtl_train, monkeypatch, untracked):
    tracker = Noting(raises_in=method)
    monkeypatch.setitem(TRACKERS, "tensorboard", tracker)
    answer = tsmtl_train(*TINY, "trainer.tracker=[tensorboard]", "hydra.run.dir=run")
    assert answer.code == 0
    (said,) = [line for line in answer.lines if line.startswith("warning: tensorboard")]
    assert said.startswith(f"warning: tensorboard: RuntimeError: no {method}; ")
    assert "Traceback" not in answer.err
    assert "in _tell" in Path("run/train.log").read_text()  # where it was raised
    weights = read_checkpoint(Path("run/best_model.pt"))["state"]
    assert weights.keys() == untracked.keys()
    assert all(torch.equal(weights[name], untracked[name]) for name in weights)
    assert tracker.methods == list(METHODS[: METHODS.index(method)])


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("method", METHODS[1:])
def test_what_fails_for_a_time_is_told_later_in_its_order(method, track, caplog):
    tracker = Noting(raises_in=method, times=3)
    history: list[dict[str, float]] = []
    with track(tracker, history) as tracking:
        for epoch in (1, 2):
            history.append({"epoch": epoch, "train/loss": 0.5, "seconds": 1.0})
            tracking.kept()
        tracking.results(2, {"cls": {"accuracy": 1}}, Path("best_model.pt"))
        tracking._tell("end", Status.FINISHED)  # one more call: the run lasts until the tracker is well again
        wait_for(lambda: tracker.methods.count("end") == 1)
    assert tracker.methods == ["make", "start", "epochs", "epochs", "results", "end", "end"]
    assert [epoch.number for told in tracker.told if told[0] == "epochs" for epoch in told[1:]] == [1, 2]
    (said,) = warnings_of(caplog)
    assert said == f"noting: RuntimeError: no {method}; the run goes on; it is tried again"


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_a_run_does_not_wait_for_a_tracker_that_does_not_answer(track, monkeypatch, caplog):
    monkeypatch.setattr(run_tracking, "PATIENCE", 0.05)
    answers = threading.Event()
    tracker = Noting()
    monkeypatch.setattr(tracker, "epochs", lambda epochs: answers.wait(20))
    with track(tracker, [{"epoch": 1, "seconds": 1.0}]):
        pass  # a wait for the answer would never end: it comes below
    assert not answers.is_set()
    assert warnings_of(caplog) == ["noting: does not answer; not all of the run is tracked"]
    answers.set()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (None, Status.FINISHED),
        (Interrupted(2), Status.KILLED),
        (KeyboardInterrupt(), Status.KILLED),
        (Pruned("in epoch 3"), Status.KILLED),
        (OSError("disk full"), Status.FAILED),
    ],
)
def test_how_a_run_ends_is_told(error, status, track):
    tracker = Noting()
    raised: list[BaseException] = []
    try:
        with track(tracker, [{"epoch": 1, "seconds": 1.0}]):
            if error is not None:
                raise error
    except BaseException as seen:
        raised.append(seen)
    assert raised == ([] if error is None else [error])
    assert tracker.methods == ["make", "start", "epochs", "end"]  # the epoch too, which was not kept on disk
    assert tracker.told[-1] == ("end", status)


def test_epochs_are_told_once_with_the_time_that_each_ended(track, monkeypatch):
    monkeypatch.setattr(run_tracking.time, "time", lambda: 100.0)
    tracker = Noting()
    history = [{"epoch": e, "val/loss": e / 10, "seconds": s} for e, s in ((1, 5.0), (2, 3.0), (3, 2.0))]
    with track(tracker, history) as tracking:
        tracking.kept()
        tracking.kept()
    epochs = [epoch for told in tracker.told if told[0] == "epochs" for epoch in told[1:]]
    # By hand: 3 ends now, 2 ended when 3 began, 2 s ago, and 1 when 2 began, 3 s before that.
    assert [(e.number, e.ended) for e in epochs] == [(1, 95.0), (2, 98.0), (3, 100.0)]
    assert epochs[1].values == {"val/loss": 0.2, "seconds": 3.0}


def test_an_address_is_told_without_its_password(track, caplog):
    class Away(Noting):
        def _tell(self, method: str, *given: Any) -> None:
            raise OSError("no answer from https://me:secret@host/api")

    with track(Away(), []):
        pass
    assert "https://host/api" in caplog.text
    assert "secret" not in caplog.text


def test_settings_are_flat_numbers_truth_values_and_texts():
    nested = {"lr": 1e-4, "freeze": True, "best_model_path": None, "data": {"scale": "none", "channels": ["a", "b"]}}
    own_names = {"data": {"columns": {"Temp (°C)": "t"}, "empty": {}}}
    assert flat_settings(nested) == {
        "lr": 1e-4,
        "freeze": True,
        "best_model_path": "null",
        "data.scale": "none",
        "data.channels": '["a", "b"]',
    }
    assert flat_settings(own_names) == {"data.columns": '{"Temp (°C)": "t"}', "data.empty": "{}"}


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    wait_for(lambda: not [t for t in threading.enumerate() if t.name.startswith("tracking")])
