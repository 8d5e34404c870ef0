"""Configs of jobs with merged files kept, against Hydra's own composition of each."""

from collections.abc import Iterator

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from tests.remembered import HYDRAS
from tsmtl.config.location import config_dir
from tsmtl.sweep.shared_composition import SharedComposition

JOBS = {
    "a value": [["++lr=0.1"], ["++lr=0.2"], ["lr=0.3"]],
    "files of groups": [["model=gru", "++lr=0.1"], ["model=lstm", "++lr=0.1"], ["++lr=0.1", "model=gru", "task=cls"]],
    "a key below a group's": [["data=npz", "++data.path=a.npz"], ["++data.path=b.npz", "data=npz"]],
    "an unknown key, for the schema": [["++wrong=1"], ["++data.wrong.deep=[1,2]"], []],
    "one key twice": [["++lr=0.1", "++lr=0.2"], ["++lr=0.2", "++lr=0.1"]],
    "a mapping": [["++data.more={a:1}"], ["++data.more={b:2}"], ["++data={n_instances:7}"]],
    "an experiment, and none": [["experiment=hydraulic"], ["~experiment"], ["++seed=1"]],
    "added and deleted": [["+new=1", "++new=2"], ["++lr=0.1", "~lr"], ["++lr=0.1"]],
    "Hydra's own": [["hydra.sweep.subdir=x", "++lr=0.1"], ["++lr=0.1", "hydra.job.chdir=true"]],
    "Hydra's own groups": [["hydra/launcher=basic", "++lr=0.1"], ["++lr=0.1"]],
    "an interpolation": [["++seed=${batch_size}"], ["++batch_size=9", "++seed=${batch_size}"]],
}


@pytest.fixture(autouse=True)
def _nothing_is_remembered(monkeypatch):
    for owner, name, function in HYDRAS:
        monkeypatch.setattr(owner, name, function)


@pytest.fixture
def sweep() -> Iterator[tuple]:
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        given = ["hydra.sweep.dir=there", "hydra.job.name=mine"]
        yield hydra.config_loader, hydra.compose_config("train", given, RunMode.MULTIRUN, with_log_configuration=False)


def said(config):
    flags = [config._get_flag("struct"), config.hydra._get_flag("readonly"), config.hydra._get_flag("struct")]
    return OmegaConf.to_yaml(config), flags, str(config.hydra.job.override_dirname)


@pytest.mark.parametrize("kind", JOBS)
def test_the_config_is_what_hydra_composes(sweep, kind):
    loader, master = sweep
    shared = SharedComposition(loader, master)
    for overrides in JOBS[kind] * 2:
        assert said(shared.config(overrides)) == said(loader.load_sweep_config(master, overrides)), overrides


def test_files_are_merged_once_for_the_jobs_that_choose_the_same(sweep, monkeypatch):
    loader, master = sweep
    composed: list[list[str]] = []
    inside = loader.load_sweep_config
    monkeypatch.setattr(loader, "load_sweep_config", lambda m, words: composed.append(words) or inside(m, words))
    shared = SharedComposition(loader, master)
    for lr in (0.1, 0.2, 0.3):
        for model in ("gru", "lstm"):
            assert shared.config([f"model={model}", f"++lr={lr}"]).lr == lr
    assert composed == [["model=gru"], ["model=lstm"]]


@pytest.mark.parametrize(
    "wrong",
    [["model=nothing"], ["nothing=1"], ["model@there=gru"], ["++lr=${"], ["~nothing"], ["++lr=1,2"], ["++lr=glob(*)"]],
)
def test_what_hydra_refuses_is_refused_with_its_words(sweep, wrong):
    loader, master = sweep
    with pytest.raises((HydraException, ValueError)) as theirs:
        loader.load_sweep_config(master, wrong)
    with pytest.raises(type(theirs.value)) as ours:
        SharedComposition(loader, master).config(wrong)
    assert str(ours.value) == str(theirs.value)


def test_a_group_of_a_users_own_folder_is_a_choice(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "one.yaml").write_text("# @package _global_\nbatch_size: 3\n")
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        given = [f"hydra.searchpath=[file://{tmp_path}]"]
        master = hydra.compose_config("train", given, RunMode.MULTIRUN, with_log_configuration=False)
        shared = SharedComposition(hydra.config_loader, master)
        for words in (["+mine=one", "++lr=0.1"], ["++lr=0.2", "+mine=one"]):
            assert said(shared.config(words)) == said(hydra.config_loader.load_sweep_config(master, words))
        assert shared.config(["+mine=one"]).batch_size == 3
