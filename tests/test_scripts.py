"""The launchers of scripts/ on small settings: bash says which commands they give, and these run in this process."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.test_train import SMALL, TINY_MODEL, summary_of

TINY = [*TINY_MODEL["lstm_fcn"], *SMALL]


@pytest.fixture
def commands_of(tmp_path):
    """Give a function that runs a script and lists the commands that it gave, tsmtl-train without its name."""

    def of(name: str, arguments: list[str], **environment: str) -> list[list[str]]:
        checkout = tmp_path / "checkout"
        (checkout / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts" / name, checkout / "scripts")
        (checkout / ".venv/bin").mkdir(parents=True)
        for own in ("train", "represent", "predict"):
            stand_in = checkout / f".venv/bin/tsmtl-{own}"
            named = "" if own == "train" else f'"tsmtl-{own}" '
            stand_in.write_text(f'#!/bin/sh\nprintf "%s\\n" {named}"$@" "" >> commands.txt\n')
            stand_in.chmod(0o755)
        command = ["bash", str(checkout / "scripts" / name), *arguments]
        subprocess.run(command, env=os.environ | environment, check=True, timeout=60)
        return [text.split("\n") for text in (checkout / "commands.txt").read_text().rstrip("\n").split("\n\n")]

    return of


def test_the_scripts_call_the_checkouts_own_command():
    for name in ("pretrain_finetune.sh", "alpha_sweep.sh", "represent_finetune.sh"):
        assert 'cd "$(dirname "$0")/.."\nexport PATH="$PWD/.venv/bin:$PATH"' in (ROOT / "scripts" / name).read_text()


def test_pretrain_finetune_goes_both_ways_with_and_without_freezing(commands_of, tsmtl_train, tmp_path):
    out = tmp_path / "out"
    for words in commands_of("pretrain_finetune.sh", TINY, OUT=str(out)):
        answer = tsmtl_train(*words)
        assert answer.code == 0, answer.err
    tuned = {f"{task}_to_multi_freeze_{freeze}" for task in ("reg", "cls") for freeze in ("false", "true")}
    assert {p.name for p in out.iterdir()} == {"reg", "cls"} | tuned
    for name in tuned:
        summary = summary_of(out / name)
        assert summary["pretrained"]["path"] == str(out / name[:3] / "best_model.pt")
        assert list(summary["test"]) == ["cls", "reg"]


def test_alpha_sweep_pretrains_once(commands_of, tsmtl_train, tmp_path):
    ((flag, *words, alphas),) = commands_of("alpha_sweep.sh", [*TINY, "num_epochs=1"], ALPHAS="0.1,0.5,0.9")
    assert (flag, alphas) == ("-m", "alpha=0.1,0.5,0.9")
    reused = []
    for alpha in alphas.removeprefix("alpha=").split(","):  # as the sweep's jobs, which would be a process each
        answer = tsmtl_train(*words, f"alpha={alpha}", "pretrain.folder=first", f"hydra.run.dir={alpha}")
        assert answer.code == 0, answer.err
        reused.append(summary_of(tmp_path / alpha)["pretrained"]["reused"])
    assert reused == [False, True, True]


@pytest.fixture
def benchmark(tmp_path):
    """Give a function that runs scripts/benchmark.sh beside stand-ins; it gives what these were asked, and stderr."""
    checkout = tmp_path / "checkout"
    for folder in ("scripts", "benchmarks", ".venv/bin", ".venv-peers/bin"):
        (checkout / folder).mkdir(parents=True)
    shutil.copy(ROOT / "scripts" / "benchmark.sh", checkout / "scripts")
    (checkout / "benchmarks" / "peers.txt").write_text("torch==2.13.0\n")
    (checkout / "scripts" / "setup.sh").write_text('echo "setup $*" >> asked.txt\n')

    def run(would_install: str, **environment: str) -> tuple[list[str], str]:
        for name in (".venv", ".venv-peers"):
            python = checkout / name / "bin" / "python"
            python.write_text(
                "#!/bin/sh\ncase $* in *--check* | -c*) exit;; esac\n"
                f"echo {name} $* >> asked.txt\n"
                f'case $* in *--dry-run*) echo \'"name": "torch" "name": "{would_install}"\';; esac\n'
            )
            python.chmod(0o755)
        command = ["bash", str(checkout / "scripts" / "benchmark.sh"), "reading"]
        done = subprocess.run(
            command, env=os.environ | environment, check=True, timeout=60, capture_output=True, text=True
        )
        asked = (checkout / "asked.txt").read_text().splitlines()
        (checkout / "asked.txt").unlink()
        return asked, done.stderr

    return run


def test_benchmark_installs_its_peers_once_and_never_cuda(benchmark):
    asked, said = benchmark("nvidia-cublas")
    assert asked[0] == "setup archive export"
    assert "--dry-run" in asked[1]
    assert asked[2:] == [".venv -m benchmarks.performance reading"]
    assert "PyTorch for CUDA" in said
    assert "going on without Lightning and tsai" in said
    asked, said = benchmark("numpy", PEERS="no")
    assert asked == ["setup archive export", ".venv -m benchmarks.performance reading"]
    asked, said = benchmark("numpy")
    assert len([line for line in asked if " install " in line and "--dry-run" not in line]) == 1
    assert not said
    asked, said = benchmark("numpy")  # they are there
    assert asked == ["setup archive export", ".venv -m benchmarks.performance reading"]


@pytest.mark.parametrize(
    ("words", "code"), [(["--help"], 0), (["no_such_part"], 2), (["scaling", "--threads", "2"], 2)]
)
def test_benchmark_reads_its_words_before_it_installs(tmp_path, words, code):
    for folder in ("scripts", "benchmarks"):
        (tmp_path / folder).mkdir()
    for name in ("scripts/benchmark.sh", "benchmarks/performance.py", "benchmarks/aims.py", "benchmarks/table.py"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "scripts" / "setup.sh").write_text("touch installed\n")
    command = ["bash", str(tmp_path / "scripts" / "benchmark.sh"), *words]
    environment = {**os.environ, "PYTHON": sys.executable, "PYTHONPATH": ""}
    done = subprocess.run(command, env=environment, timeout=60, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert "usage:" in done.stdout + done.stderr
    assert not (tmp_path / "installed").exists()


def test_represent_finetune_goes_from_raw_series_to_predictions(commands_of, command, tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 2, 20)).astype(np.float32), np.arange(60) % 2
    np.savez(tmp_path / "raw.npz", X=x + y[:, None, None], y_cls=y, y_reg=y + rng.normal(size=60))
    np.savez(tmp_path / "new.npz", X=x[:5])
    given = {"OUT": str(tmp_path / "out"), "NEW": str(tmp_path / "new.npz"), "METHOD": "summary"}
    words = ["data=npz", f"data.path={tmp_path / 'raw.npz'}"]
    for said in commands_of("represent_finetune.sh", words, TRAIN="num_epochs=2 batch_size=16", **given):
        name, *arguments = said if said[0].startswith("tsmtl-") else ["tsmtl-train", *said]
        answer = command(name, *arguments)
        assert answer.code == 0, answer.err
    summary = summary_of(tmp_path / "out" / "multi")
    assert summary["pretrained"]["path"] == str(tmp_path / "out" / "reg" / "best_model.pt")
    assert list(summary["test"]) == ["cls", "reg"]
    assert len((tmp_path / "out" / "predictions.csv").read_text().splitlines()) == 6
