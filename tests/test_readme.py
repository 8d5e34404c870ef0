"""The README is true: its commands run, its table is the YAML files', its links lead somewhere."""

import re
import shlex

import pytest
import yaml

from benchmarks.aims import size, tables_of
from benchmarks.table import between
from tests.conftest import DATA, ROOT

README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
COLUMNS = ["lstm, gru", "cnn1d", "lstm_fcn", "lstm_fcn_multi", "fc"]
ROWS = re.findall(r"^\| `(\w+)` \| [^|]* \| [^|]* \|((?:[^|\n]*\|){5})$", README, flags=re.MULTILINE)


def shorter(arguments: list[str]) -> list[str]:
    """Train for two epochs at most, on few of the simulated machines."""
    words = [re.sub(r"^((?:pretrain\.)?num_epochs)=\d+$", r"\1=2", word) for word in arguments]
    if not any(word.startswith(("data=", "data.path=", "experiment=hydraulic")) for word in words):
        words.append("data.n_instances=120")
    return words


@pytest.mark.usefixtures("jobs_here")
def test_every_command_and_program_of_the_readme_runs_on_fewer_instances(command, tmp_path):
    ran: list[str] = []
    skipped: set[str] = set()
    for language, text in BLOCKS:
        first = text.splitlines()[0]
        if first.startswith("# my_backbones.py"):
            (tmp_path / "my_backbones.py").write_text(text)
        elif language == "yaml":
            (tmp_path / "model").mkdir()
            (tmp_path / "model" / "tiny.yaml").write_text(text)
        elif language == "python":
            exec(compile(text, "README.md", "exec"), {})
        elif language == "bash":
            for line in text.splitlines():
                name, *arguments = shlex.split(line)
                if not name.startswith("tsmtl-"):
                    assert (ROOT / arguments[0]).is_file(), line
                    continue
                known = next((n for n in ("hydraulic", "cmapss") if arguments[0].endswith(f"={n}")), None)
                if known is not None and not (DATA / known).is_dir():
                    skipped.add(name)
                    continue  # the known sets are tested, and skipped with their reason, in tests of their own
                if known == "hydraulic":
                    arguments.append("num_epochs=1")
                if name == "tsmtl-compare":
                    arguments += ["compare.seeds=2", "compare.lr_factors=[1]", "compare.variants=[multi]"]
                    arguments += ["compare.alphas=[]", "compare.weightings=[]", "device=cpu"]
                answer = command(name, *(shorter(arguments) if name == "tsmtl-train" else arguments))
                assert answer.code == 0, f"{line}\n{answer.err}"
                ran.append(name)
    others = {"tsmtl-compare", "tsmtl-predict", "tsmtl-evaluate", "tsmtl-export", "tsmtl-check-data", "tsmtl-report"}
    others.add("tsmtl-represent")
    assert set(ran) | skipped == {"tsmtl-train", *others}
    assert len(ran) >= 14


def test_the_readmes_refusal_is_what_the_command_says(tsmtl_train):
    (said,) = [text for language, text in BLOCKS if language == "text" and text.startswith("$ ")]
    command, *lines = said.splitlines()
    answer = tsmtl_train(*shlex.split(command)[2:])
    assert answer.code == 2
    assert answer.lines == lines


@pytest.mark.parametrize(("key", "cells"), ROWS, ids=[key for key, _ in ROWS])
def test_the_table_of_defaults_is_that_of_the_yaml_files(key, cells):
    values = [cell.strip() for cell in cells.rstrip()[:-1].split("|")]
    for column, value in zip(COLUMNS, values, strict=True):
        for model in column.split(", "):
            settings = yaml.safe_load((ROOT / "configs" / "model" / f"{model}.yaml").read_text())
            expected = yaml.safe_load(value) if value else None
            assert settings.get(key) == expected, f"{key} of {model}"


def test_the_table_has_every_key_of_the_specification():
    keys = {key for key, _ in ROWS}
    assert keys >= {
        *("num_layers", "hidden_size", "dropout", "bidirectional", "output_channels", "kernel_size", "stride"),
        *("padding", "lstm_drop_out", "fc_drop_out", "bias", "num_epochs", "batch_size", "lr"),
    }


def test_every_file_that_the_readme_names_is_there():
    for path in re.findall(r"\]\(([\w/.]+)\)", README) + re.findall(
        r"\b((?:docs|benchmarks|scripts)/[\w./]+\w)", README
    ):
        assert (ROOT / path).exists(), path


def test_the_table_of_speed_is_that_of_the_page():
    page = between((ROOT / "docs" / "performance_without_amx.md").read_text(), "training")
    of_ours = {table.header[2]: table for table in tables_of(page) if len(table.header) > 2}
    names = {"": "tsmtl", "`trainer.kernels=native`": "tsmtl, native", "`trainer.precision=bf16`": "tsmtl, bf16"}
    (speed,) = (table for table in tables_of(README) if table.header[:2] == ["model", "setting"])
    for model, setting, *said in speed.body:
        table = of_ours[f"{names[setting]}: instances/s"]
        (row,) = (dict(zip(table.header, row, strict=True)) for row in table.body if row[:2] == [model, "16"])
        others = ("plain loop", "DataLoader loop", "Lightning", "tsai")
        assert said == [f"{size(row[f'of {other}']):.1f}" for other in others], (model, setting)
    assert len(speed.body) > 8
