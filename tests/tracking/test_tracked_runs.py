"""Runs read back from where they were tracked: with tensorboard's own reader and MLflow's own client."""

import csv
import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

import pytest
import torch
from PIL import Image

from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.config.python_call import settings_and_folder
from tsmtl.run import run_training
from tsmtl.tracking.run_tracking import flat_settings
from tsmtl.tracking.tracker import Epoch, Status, TrackedRun
from tsmtl.tracking.trackers import TRACKERS
from tsmtl.training.watch import Watch

pytest.importorskip("tensorboard", reason="needs the extra track")
pytest.importorskip("alembic", reason="needs the extra track")

TINY = ["model=gru", "hidden_size=4", "device=cpu", "data.n_instances=40", "batch_size=8", "num_epochs=4"]
BOTH = "trainer.tracker=[tensorboard,mlflow]"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The current folder of a run that is tracked by both, with nothing said of where to."""
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
        run_training(*settings_and_folder([*TINY, BOTH, "hydra.run.dir=run"]))
    return folder


@pytest.fixture(scope="module")
def client(home: Path) -> Any:
    from mlflow.tracking import MlflowClient  # behind a run: that says how often MLflow tries

    return MlflowClient(f"sqlite:///{home / 'mlflow.db'}")


@pytest.fixture
def experiment(home: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """An experiment of the test's own in the file that is there: to make another one takes seconds."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{home / 'mlflow.db'}")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", request.node.name)
    return str(request.node.name)


def runs_of(client: Any, experiment: str) -> list[Any]:
    return list(client.search_runs([client.get_experiment_by_name(experiment).experiment_id]))


def columns_of(folder: Path) -> dict[str, list[float]]:
    """Give the columns of metrics.csv but for the epoch, which is the step."""
    with (folder / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["epoch"]) for row in rows] == list(range(1, len(rows) + 1))
    return {name: [float(row[name]) for row in rows] for name in rows[0] if name != "epoch"}


def assert_tracked(folder: Path, found: Callable[[str], list[tuple[int, float]]], but: str = "") -> None:
    """Check every epoch's every metric, once; metrics.csv has 6 digits, an event file single precision."""
    columns = {name: values for name, values in columns_of(folder).items() if name != but}
    assert len(columns) > 10
    for name, values in columns.items():
        steps, tracked = zip(*found(name), strict=True)
        assert steps == tuple(range(1, len(values) + 1)), name
        assert tracked == pytest.approx(values, rel=1e-5, nan_ok=True), name


def metrics_of_test(folder: Path) -> dict[str, float]:
    test = json.loads((folder / "summary.json").read_text())["test"]
    return {f"test/{t}/{n}": v for t, m in test.items() for n, v in m.items() if isinstance(v, float)}


def events_of(folder: Path) -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (file,) = folder.glob("events.out.tfevents.*")
    events = EventAccumulator(str(file), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    return events.Reload()


def scalars_of(events: Any) -> Callable[[str], list[tuple[int, float]]]:
    return lambda name: [(event.step, event.value) for event in events.Scalars(name)]


def hparams_of(events: Any) -> dict[str, object]:
    from tensorboard.plugins.hparams.metadata import parse_session_start_info_plugin_data

    content = events.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    hparams = parse_session_start_info_plugin_data(content).hparams
    return {key: getattr(value, value.WhichOneof("kind")) for key, value in hparams.items()}


def metrics_of(client: Any, run_id: str) -> Callable[[str], list[tuple[int, float]]]:
    return lambda name: sorted((m.step, m.value) for m in client.get_metric_history(run_id, name))


def test_the_event_file_holds_the_run(home):
    folder = home / "run"
    events = events_of(folder)
    assert_tracked(folder, scalars_of(events))
    best = json.loads((folder / "summary.json").read_text())["best"]["epoch"]
    for name, value in metrics_of_test(folder).items():
        assert scalars_of(events)(name) == [(best, pytest.approx(value, rel=1e-6))]
    assert set(events.Tags()["scalars"]) == columns_of(folder).keys() | metrics_of_test(folder).keys()
    pictures = {"curves", "confusion_cls", "predicted_reg", "reliability_cls"}
    assert set(events.Tags()["images"]) == pictures
    for name in pictures:
        (image,) = events.Images(name)
        assert image.encoded_image_string == (folder / f"{name}.png").read_bytes()
        with Image.open(folder / f"{name}.png") as picture:
            assert (image.width, image.height) == picture.size
    settings, _ = settings_and_folder([*TINY, BOTH])
    assert hparams_of(events) == flat_settings(settings.flat)
    (about,) = events.Tensors("run")
    assert f"| folder | {folder} |" in about.tensor_proto.string_val[0].decode()


def test_the_store_holds_the_run(home, client):
    folder = home / "run"
    (run,) = runs_of(client, "tsmtl")
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "run"
    assert_tracked(folder, metrics_of(client, run.info.run_id))
    for name, value in metrics_of_test(folder).items():
        assert run.data.metrics[name] == value
    assert run.data.metrics.keys() == columns_of(folder).keys() | metrics_of_test(folder).keys()
    settings, _ = settings_and_folder([*TINY, BOTH])
    params = flat_settings(settings.flat)
    assert run.data.params == {k: str(v).lower() if isinstance(v, bool) else str(v) for k, v in params.items()}
    assert run.data.params["lr"] == "0.0001"
    summary = json.loads((folder / "summary.json").read_text())
    tags = {key: run.data.tags[f"tsmtl.{key}"] for key in ("folder", "data_sha256", "seed", "stage", "version")}
    assert tags == {
        "folder": str(folder),
        "data_sha256": summary["data"]["sha256"],
        "seed": "0",
        "stage": "train",
        "version": summary["versions"]["tsmtl"],
    }
    for name in ("best_model.pt", "pictures/curves.png", "pictures/confusion_cls.png", "pictures/predicted_reg.png"):
        there = Path(unquote(urlparse(run.info.artifact_uri).path), name)
        assert there.is_relative_to(home)
        assert there.read_bytes() == (folder / Path(name).name).read_bytes()


def test_no_tracker_leaves_nothing(tsmtl_train, tmp_path):
    assert tsmtl_train(*TINY, "hydra.run.dir=run").code == 0
    assert {p.name for p in tmp_path.iterdir()} == {"run"}
    assert not {p.name for p in (tmp_path / "run").iterdir() if "events" in p.name or "mlflow" in p.name}


class CutAfter(Watch):
    """Ends a run behind an epoch, as Ctrl-C does between two writes of its state."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def epoch_ends(self, row: dict[str, float]) -> None:
        if row["epoch"] == self.epoch:
            raise KeyboardInterrupt


def test_a_run_that_goes_on_is_tracked_as_one(experiment, client, tmp_path, monkeypatch):
    monkeypatch.setattr("tsmtl.checkpoint.last.INTERVAL", 0.0)
    monkeypatch.setattr("tsmtl.checkpoint.last.SHARE", 0)
    words = [*TINY, "num_epochs=6", BOTH, "resume=true", f"hydra.run.dir={tmp_path / 'run'}"]
    for epoch in (3, 5):
        with pytest.raises(KeyboardInterrupt):
            run_training(*settings_and_folder(words), CutAfter(epoch))
        (run,) = runs_of(client, experiment)
        assert run.info.status == "KILLED"
    run_training(*settings_and_folder(words))
    (run,) = runs_of(client, experiment)
    assert run.info.status == "FINISHED"
    assert_tracked(tmp_path / "run", scalars_of(events_of(tmp_path / "run")))
    # The epochs that were cut off before their state was kept were trained again, to the same bits in other times.
    assert_tracked(tmp_path / "run", metrics_of(client, run.info.run_id), but="seconds")


def test_a_run_that_is_replaced_is_another_run(experiment, client, tmp_path):
    words = [*TINY, "num_epochs=1", f"hydra.run.dir={tmp_path / 'run'}"]
    for lr in ("1e-3", "1e-2"):
        run_training(*settings_and_folder([*words, BOTH, f"lr={lr}"]))
        assert hparams_of(events_of(tmp_path / "run"))["lr"] == float(lr)
    assert [run.data.params["lr"] for run in runs_of(client, experiment)] == ["0.01", "0.001"]
    run_training(*settings_and_folder(words))
    assert not list((tmp_path / "run").glob("events*"))
    assert not (tmp_path / "run" / "mlflow.json").exists()


def test_a_run_may_go_on_with_other_trackers(experiment, client, tmp_path):
    words = [*TINY, "resume=true", f"hydra.run.dir={tmp_path / 'run'}"]
    with pytest.raises(KeyboardInterrupt):
        run_training(*settings_and_folder(words), CutAfter(2))
    run_training(*settings_and_folder([*words, BOTH]))
    (run,) = runs_of(client, experiment)
    assert_tracked(tmp_path / "run", metrics_of(client, run.info.run_id))
    assert_tracked(tmp_path / "run", scalars_of(events_of(tmp_path / "run")))


def test_a_sweep_is_one_run_with_its_jobs(experiment, client, tsmtl_train, tmp_path):
    words = ["-m", *TINY, "num_epochs=1", "trainer.tracker=[mlflow]", "hydra.sweep.dir=my 'sweep\""]
    assert tsmtl_train(*words, "seed=0,1", "hydra.launcher.n_jobs=2").code == 0  # at once, in two processes
    sweep = tmp_path / "my 'sweep\""
    settings, _ = settings_and_folder([*TINY, "num_epochs=1", "trainer.tracker=[mlflow]", "seed=2"])
    run_training(replace(settings, sweep=sweep), sweep / "later")
    runs = runs_of(client, experiment)
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    jobs = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in jobs} == {parent.info.run_id}
    assert sorted(run.data.tags["tsmtl.seed"] for run in jobs) == ["0", "1", "2"]
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert {run.data.tags["tsmtl.sweep"] for run in runs} == {str(sweep)}
    assert {run.data.tags["tsmtl.folder"] for run in jobs} == {str(p.parent) for p in sweep.glob("*/config.yaml")}


@pytest.mark.parametrize(
    ("ends", "is_then"),
    [
        (["FINISHED", None], "RUNNING"),
        (["FINISHED", "FINISHED"], "FINISHED"),
        (["FAILED", "FINISHED"], "FAILED"),
        (["FAILED", "KILLED"], "KILLED"),
    ],
)
def test_a_sweep_is_as_its_jobs_are(ends, is_then, experiment, client, tmp_path):
    trackers = []
    for number in range(len(ends)):
        folder = tmp_path / str(number)
        folder.mkdir()
        trackers.append(TRACKERS["mlflow"]())
        trackers[-1].start(TrackedRun(folder, tmp_path, {}, {"folder": str(folder)}, goes_on=False))
    for tracker, end in zip(trackers, ends, strict=True):
        if end is not None:
            tracker.end(Status(end))
    (parent,) = [run for run in runs_of(client, experiment) if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.status == is_then
    assert (parent.info.end_time is None) == (is_then == "RUNNING")


def test_a_server_that_is_away_costs_a_run_one_line_and_no_bit(home, tsmtl_train, monkeypatch):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed.getsockname()[1]}")
        answer = tsmtl_train(*TINY, "trainer.tracker=[mlflow]", "hydra.run.dir=run")
    assert answer.code == 0
    (said,) = [line for line in answer.lines if line.startswith("warning: ")]
    assert said.startswith("warning: mlflow: MlflowException: API request to http://127.0.0.1:")
    ours, theirs = (read_checkpoint(folder / "best_model.pt")["state"] for folder in (Path("run"), home / "run"))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_a_torn_write_is_overwritten_by_the_next(tmp_path, monkeypatch):
    from tsmtl.tracking.tensorboard import TensorBoardTracker

    tracker = TensorBoardTracker()
    tracker.start(TrackedRun(tmp_path, None, {}, {}, goes_on=False))
    tracker.epochs([Epoch(1, 1.0, {"val/loss": 0.5})])
    (file,) = tmp_path.glob("events*")
    file.write_bytes(file.read_bytes() + b"half a rec")  # what a full disk leaves
    tracker.epochs([Epoch(2, 2.0, {"val/loss": 0.25})])
    assert scalars_of(events_of(tmp_path))("val/loss") == [(1, 0.5), (2, 0.25)]
