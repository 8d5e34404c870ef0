"""What the tests remember of Hydra's work is what Hydra makes of the same words."""

import os
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from tests.remembered import HYDRAS
from tsmtl.config.arguments import composing, prepare_arguments
from tsmtl.config.location import config_dir

LINES = [
    [],
    ["model=gru", "hidden_size=5", "task=reg"],
    ["model=gru", "hidden_size=6", "data=npz", "data.path=a.npz", "data.augment=[{jitter:0.1}]"],
    ["weighting=famo", "weighting.lr=0.5", "experiment=a.yaml", "++data.params={a: 1}"],
]


def composed(words: list[str]) -> DictConfig:
    with composing(sweeps=False):
        prepared = prepare_arguments(list(words))
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            return compose("train", prepared, return_hydra_config=True)


def own(words: list[str]) -> DictConfig:
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, function in HYDRAS:
            patch.setattr(owner, name, function)
        return composed(words)


def flags(config: DictConfig) -> list[bool | None]:
    return [node._get_flag(flag) for node in (config, config.data, config.hydra) for flag in ("struct", "readonly")]


@pytest.fixture
def experiment(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.yaml").write_text("lr: 0.002\n")
    return tmp_path / "a.yaml"


@pytest.mark.usefixtures("experiment")
@pytest.mark.parametrize("words", LINES)
def test_remembered_settings_are_those_that_hydra_composes(words):
    for _ in range(2):
        ours, theirs = composed(words), own(words)
        assert OmegaConf.to_yaml(ours) == OmegaConf.to_yaml(theirs)
        assert flags(ours) == flags(theirs)
        ours.lr = 7  # what is changed in one is not remembered


def test_a_changed_file_is_read_again(experiment):
    assert composed(["experiment=a.yaml"]).lr == 0.002
    experiment.write_text("lr: 0.003\n")
    assert composed(["experiment=a.yaml"]).lr == 0.003
    (experiment.parent / "model").mkdir()
    file = experiment.parent / "model/mine.yaml"
    words = [f"hydra.searchpath=[file://{experiment.parent}]", "model=mine"]
    for number in (1, 2):
        file.write_text(f"# @package _global_\nmodel: gru\nhidden_size: {number}\n")
        os.utime(file, ns=(number, number))
        assert composed(words).hidden_size == number
