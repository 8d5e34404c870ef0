"""The wheel holds all it needs: it trains from a folder outside the checkout."""

import importlib
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built through the source distribution, so that both are whole."""
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = out.glob("*.whl")
    return built


def test_every_shipped_config_and_source_is_in_the_wheel(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    for file in (ROOT / "configs").rglob("*.yaml"):
        assert f"tsmtl/configs/{file.relative_to(ROOT / 'configs')}" in names
    sources = [file for file in (ROOT / "src/tsmtl/native").iterdir() if file.suffix in (".cpp", ".h")]
    assert sources
    for file in sources:  # of the kernels, which are compiled where they are used
        assert f"tsmtl/native/{file.name}" in names
    assert "hydra_plugins/tsmtl_launcher.py" in names
    assert "tsmtl/py.typed" in names


def test_every_command_is_in_the_wheel_and_can_be_called(wheel):
    archive = zipfile.ZipFile(wheel)
    (listed,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
    commands = dict(re.findall(r"^(tsmtl-[\w-]+) = (\S+)$", archive.read(listed).decode(), flags=re.MULTILINE))
    others = {"tsmtl-predict", "tsmtl-evaluate", "tsmtl-export", "tsmtl-check-data", "tsmtl-report", "tsmtl-represent"}
    assert set(commands) >= {"tsmtl-train", *others}
    for place in commands.values():
        module, _, function = place.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_the_installed_wheel_trains_and_predicts_outside_the_checkout(wheel, tmp_path):
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(site), str(wheel)]
    subprocess.run(install, check=True, timeout=120, env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    environment = os.environ | {"PYTHONPATH": str(site), "PYTHONSAFEPATH": "1"}
    where = subprocess.run(
        [sys.executable, "-c", "import tsmtl; print(tsmtl.__file__)"],
        env=environment,
        cwd=work,
        capture_output=True,
        text=True,
        check=True,
    )
    assert where.stdout.startswith(str(site)), "the checkout's own package was found instead"
    command = [sys.executable, str(site / "bin" / "tsmtl-train"), "model=lstm_fcn_multi", "alpha=0.5", "num_epochs=2"]
    done = subprocess.run(
        [*command, "hydra.run.dir=run"], env=environment, cwd=work, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads((work / "run" / "summary.json").read_text())["epochs"] == 2
    predict = (
        "import numpy as np, tsmtl\n"
        "model = tsmtl.load_model('run/best_model.pt')\n"
        "print(model.predict(np.zeros((2, 3, 32)))['cls'].labels.shape)\n"
    )
    predicted = subprocess.run(
        [sys.executable, "-c", predict], env=environment, cwd=work, capture_output=True, text=True, timeout=60
    )
    assert predicted.stdout.strip() == "(2,)", predicted.stderr
