"""The launchers of scripts/ on small settings, as a user would start them."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.test_train import SMALL, TINY_MODEL, summary_of

TINY = [*TINY_MODEL["lstm_fcn"], *SMALL]


def script(name: str, arguments: list[str], **environment: str) -> None:
    """Run a script; the interpreter of the tests stands first on the path, for a checkout without .venv."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", str(ROOT / "scripts" / name), *arguments],
        env=os.environ | {"PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr


def test_pretrain_finetune_goes_both_ways_with_and_without_freezing(tmp_path):
    script("pretrain_finetune.sh", TINY, OUT=str(tmp_path))
    tuned = {f"{task}_to_multi_freeze_{freeze}" for task in ("reg", "cls") for freeze in ("false", "true")}
    assert {p.name for p in tmp_path.iterdir()} == {"reg", "cls"} | tuned
    for name in tuned:
        summary = summary_of(tmp_path / name)
        assert summary["pretrained"]["path"] == str(tmp_path / name[:3] / "best_model.pt")
        assert list(summary["test"]) == ["cls", "reg"]


def test_alpha_sweep_pretrains_once(tmp_path):
    folders = [f"pretrain.folder={tmp_path / 'first'}", f"hydra.sweep.dir={tmp_path / 'sweep'}"]
    script("alpha_sweep.sh", [*TINY, "num_epochs=1", *folders], ALPHAS="0.1,0.5,0.9")
    reports = [summary_of(p)["pretrained"] for p in sorted((tmp_path / "sweep").iterdir()) if p.is_dir()]
    assert [report["reused"] for report in reports] == [False, True, True]
