"""What commands do not wait for: modules that take long to import, and that they have no use for yet."""

import subprocess
import sys
import tomllib

import pytest

from tests.conftest import ROOT

SLOW = ("torch._dynamo", "sympy", "matplotlib", "polars", "onnx", "optuna")
# What is imported when the first step, or the first answer, is there; the process ends at once.
CODE = """
import os, sys
import {module}
inside = {module}.{method}
def method(*given, **named):
    inside(*given, **named)
    print(*sys.modules, flush=True)
    os._exit(0)
{module}.{method} = method
sys.argv[0] = "tsmtl-{command}"
from tsmtl.{command} import cli
cli()
"""


def modules_of(folder, command, module, method, *arguments):
    code = CODE.format(command=command, module=module, method=method)
    words = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(("model", "optimizer"), [("cnn1d", "adam"), ("cnn1d", "sgd"), ("lstm_fcn", "adam")])
def test_the_first_step_waits_for_no_compiler_picture_or_table(tmp_path, model, optimizer):
    step = "SGD.step" if optimizer == "sgd" else "FusedAdam.step"
    words = [
        f"model={model}",
        "trainer.threads=2",
        "data.n_instances=64",
        f"trainer.optimizer={optimizer}",
        "device=cpu",
        "hydra.run.dir=run",
    ]
    words += ["weighting=famo"] if optimizer == "adam" else []  # which has an optimiser of its own
    imported = modules_of(tmp_path, "train", "tsmtl.training.optimizers", step, *words)
    assert "torch" in imported
    assert imported.isdisjoint(SLOW)


def test_the_first_prediction_waits_for_no_compiler_picture_or_table(trained, tmp_path):
    run = trained("gru")
    words = [run.checkpoint, f"data.path={run.data}", "output=out.csv", "device=cpu"]
    imported = modules_of(tmp_path, "predict", "tsmtl.predictor", "Predictor.predict_checked", *words)
    assert "torch" in imported
    assert imported.isdisjoint(SLOW)


SCRIPTS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]


@pytest.mark.parametrize("command", SCRIPTS)
def test_python_runs_the_module_of_a_command_like_the_command(command):
    words = [sys.executable, "-m", SCRIPTS[command].removesuffix(":cli"), "nonsense=1"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"{command}: ")
