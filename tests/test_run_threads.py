"""A run keeps the number of threads that it began with, whatever the machine that goes on with it would take."""

import json

import pytest
import torch

from tests.test_resume import assert_same_run
from tests.test_train import SMALL, TINY_MODEL
from tsmtl.checkpoint.last import read_last
from tsmtl.config.processor import core_count

CNN = ["model=cnn1d", *TINY_MODEL["cnn1d"], *SMALL, "device=cpu", "num_epochs=3"]


@pytest.fixture
def worth(monkeypatch):
    """Let a batch be worth so many threads, of eight."""
    before, now = torch.get_num_threads(), []
    monkeypatch.setattr("tsmtl.run.threads_for", lambda model, batch_size, steps: now[-1])
    yield now.append
    assert torch.get_num_threads() == before, "a run leaves it as it was"


def threads_in(folder):
    return json.loads((folder / "summary.json").read_text())["threads"]


@pytest.mark.parametrize(("typed", "first", "then"), [([], 2, 1), ([], 1, 2), (["trainer.threads=3"], 1, 2)])
def test_a_resumed_run_has_the_threads_that_it_began_with(tsmtl_train, tmp_path, stopped_at, worth, typed, first, then):
    expected = 3 if typed else first
    worth(first)
    assert tsmtl_train(*CNN, *typed, "hydra.run.dir=whole").code == 0
    stopped_at(3)
    assert tsmtl_train(*CNN, *typed, "hydra.run.dir=cut").code == 143
    assert read_last(tmp_path / "cut/last.pt")["threads"] == expected
    worth(then)
    assert tsmtl_train(*CNN, *typed, "hydra.run.dir=cut", "resume=true").code == 0
    assert threads_in(tmp_path / "cut") == threads_in(tmp_path / "whole") == expected
    assert_same_run(tmp_path / "whole", tmp_path / "cut")


def test_a_run_goes_on_with_its_own_setting_of_threads(tsmtl_train, stopped_at, worth):
    worth(1)
    stopped_at(3)
    assert tsmtl_train(*CNN, "hydra.run.dir=cut").code == 143
    answer = tsmtl_train(*CNN, "hydra.run.dir=cut", "resume=true", "trainer.threads=2")
    assert answer.code == 2
    assert answer.lines[-1].startswith("tsmtl-train: trainer.threads: 2 differs from the run in ")
    assert answer.lines[-1].endswith("where it is null; a run goes on with its own settings")


@pytest.mark.parametrize("value", ["0", "many", "1.5", "1025"])
def test_a_number_of_threads_is_a_whole_one_from_1_to_1024(tsmtl_train, tmp_path, value):
    answer = tsmtl_train(*CNN, f"trainer.threads={value}")
    assert answer.code == 2
    assert answer.lines[0].startswith("tsmtl-train: trainer.threads: must be ")
    assert not list(tmp_path.iterdir())


def test_the_frozen_backbone_counts_for_nothing(tsmtl_train, tmp_path, monkeypatch):
    models = []
    monkeypatch.setattr("tsmtl.run.threads_for", lambda model, batch_size, steps: models.append(model) or 1)
    assert tsmtl_train(*CNN, "hydra.run.dir=first").code == 0
    tuned = ["stage=finetune", "freeze=true", "pretrained_path=first/best_model.pt", "hydra.run.dir=then"]
    assert tsmtl_train(*CNN, *tuned).code == 0
    assert [any(isinstance(m, torch.nn.Conv1d) for m in model.modules()) for model in models] == [True, False]
    assert threads_in(tmp_path / "then") == 1


def test_the_same_command_twice_gives_the_same_bits(tsmtl_train, tmp_path, monkeypatch):
    monkeypatch.setattr("tsmtl.training.threads.WORTH_A_THREAD", 1.0)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for folder in ("one", "two"):
            assert tsmtl_train(*CNN, f"hydra.run.dir={folder}").code == 0
    finally:
        torch.set_num_threads(before)
    assert threads_in(tmp_path / "one") == 2
    assert_same_run(tmp_path / "one", tmp_path / "two")


@pytest.mark.parametrize(("cores", "warned"), [(2, True), (3, False)])
def test_more_threads_than_cores_are_warned_of_on_a_resume_too(tsmtl_train, stopped_at, monkeypatch, cores, warned):
    monkeypatch.setattr("tsmtl.record.core_count", lambda: cores)
    said = "warning: trainer.threads: 3 threads take turns on 2 cores, which is slower than one each"
    words = [*CNN, "trainer.threads=3", "hydra.run.dir=cut"]
    stopped_at(3)
    for code, more in ((143, []), (0, ["resume=true"])):
        answer = tsmtl_train(*words, *more)
        assert answer.code == code
        assert (said in answer.err) == warned


def test_the_threads_of_all_processes_are_counted(tsmtl_train, caplog):
    cores = core_count()
    assert tsmtl_train(*CNN, "devices=2", f"trainer.threads={cores}").code == 0
    said = f"trainer.threads: {2 * cores} threads of 2 processes take turns on {cores} cores, which is slower"
    assert said in caplog.text
