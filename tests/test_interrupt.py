"""Ctrl-C in the middle of a training, on a real process."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import tsmtl


def test_ctrl_c_ends_with_exit_130_one_line_and_the_best_model_so_far(tmp_path: Path):
    arguments = ["device=cpu", "model=gru", "hidden_size=4", "num_epochs=100000", "lr=1e-3", "hydra.run.dir=run"]
    command = [sys.executable, "-c", "from tsmtl.train import cli; cli()", *arguments]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background shell ignores it
    )
    best = tmp_path / "run" / "best_model.pt"
    try:
        waited = time.monotonic() + 60
        while not best.exists() and time.monotonic() < waited and process.poll() is None:
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "tsmtl-train: interrupted"
    assert "Traceback" not in err
    assert out == ""
    assert set(tsmtl.load_model(best).tasks) == {"cls", "reg"}
