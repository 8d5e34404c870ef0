"""``--help`` says for each setting its meaning, range and default."""

import pytest
from omegaconf import OmegaConf

from tsmtl.config.help import help_text
from tsmtl.config.launcher_settings import LAUNCHERS
from tsmtl.config.location import config_dir
from tsmtl.config.model_settings import FAMILIES
from tsmtl.config.run_settings import TASKS, PretrainSettings, RunSettings
from tsmtl.config.search_settings import SearchSettings
from tsmtl.config.sources import SOURCES
from tsmtl.config.trainer_settings import TrainerSettings
from tsmtl.config.weighting_settings import WEIGHTINGS

TEXT = help_text("tsmtl-train")
SECTIONS = [
    *[(f"model/{name}", section, "") for name, section in FAMILIES.items()],
    *[(f"task/{name}", section, "") for name, section in TASKS.items()],
    *[(f"data/{name}", section, "data.") for name, section in SOURCES.items()],
    ("trainer/default", TrainerSettings, "trainer."),
    *[(f"weighting/{name}", section, "weighting.") for name, section in WEIGHTINGS.items()],
    ("train", RunSettings, ""),
    ("train:pretrain", PretrainSettings, "pretrain."),
    *[(f"hydra/launcher/{name}:launcher", section, "hydra.launcher.") for name, section in LAUNCHERS.items()],
    ("hydra/sweeper/tsmtl_optuna", SearchSettings, "hydra.sweeper."),
]


@pytest.mark.parametrize(("file", "section", "prefix"), SECTIONS, ids=[s[0] for s in SECTIONS])
def test_every_key_of_every_yaml_file_is_in_the_schema_and_in_the_help(file, section, prefix):
    file, _, group = file.partition(":")
    content = OmegaConf.load(config_dir() / f"{file}.yaml")
    if "defaults" in content and not group and file != "train":  # a known set over the file that it names first
        content = OmegaConf.merge(OmegaConf.load(config_dir() / f"data/{content.defaults[0]}.yaml"), content)
    optional = {key for key, field in section.model_fields.items() if not field.is_required()}
    keys = set(content[group] if group else content) - {"defaults", "hydra", "pretrain", "_target_"} - optional
    assert keys == set(section.model_fields) - optional
    for key in keys - ({"model", "task", "source", "name"} if not group else set()):
        assert f"\n  {prefix}{key} " in TEXT


def test_help_gives_meaning_range_and_default_of_a_key():
    lines = TEXT.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("  alpha "))
    assert lines[at].endswith("share of task 1: alpha * L1 + (1 - alpha) * L2")
    assert lines[at + 1].strip() == "a number in [0, 1]; default 0.5  (multi)"


def test_help_gives_each_models_own_default():
    lines = TEXT.splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("  num_epochs "))
    assert "default 1000 (lstm, gru, cnn1d, lstm_fcn, fc); 150 (lstm_fcn_multi)" in lines[at + 1]


def test_no_line_of_the_yaml_defaults_is_repeated_in_the_schema():
    for _, section, _ in SECTIONS:
        given = {key for key, field in section.model_fields.items() if not field.is_required()}
        assert given <= {"root"}, "defaults stand in YAML alone"
