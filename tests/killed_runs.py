"""A process that trains in forked children and kills them; prints how each ended.

Forking saves 20 starts of PyTorch: a life is all training, and the kills fall into it.

Usage: python killed_runs.py FOLDER SEED SETTING ...    twenty lives of one run, each ended at a random moment
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from remembered import remembered_configs

import tsmtl.checkpoint.best
import tsmtl.checkpoint.last
import tsmtl.training.probe
from tsmtl.checkpoint.file import read_checkpoint
from tsmtl.checkpoint.last import read_last
from tsmtl.config.python_call import settings_and_folder
from tsmtl.run import run_training

LIVES = 20


def life(folder: str, settings: list[str], write_always: bool) -> int:
    """Start one process that trains; give its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        if write_always:  # so that many a kill falls into a write
            tsmtl.checkpoint.last.INTERVAL = tsmtl.checkpoint.last.SHARE = tsmtl.checkpoint.best.INTERVAL = 0
        run_training(*settings_and_folder([*settings, f"hydra.run.dir={folder}"]))
        code = 0
    finally:
        os._exit(code)


def stamp_of(path: Path) -> int:
    """Give when a file was written, 0 before that."""
    return path.stat().st_mtime_ns if path.exists() else 0


def main() -> None:
    """Train once undisturbed, then once with kills."""
    folder, seed, *settings = sys.argv[1:]
    os.chdir(folder)
    tsmtl.training.probe.SHARE = 10.0  # so that trainer.conflict looks after every epoch of so short a run
    run_training(*settings_and_folder([*settings, "hydra.run.dir=warm"]))  # loads all that a life would load
    began = time.monotonic()
    _, status = os.waitpid(life("whole", settings, write_always=True), 0)
    assert status == 0
    whole = time.monotonic() - began
    draw = random.Random(int(seed))
    ends, progress = [], []
    last = Path("killed/last.pt")
    for number in range(LIVES):
        steps = draw.randint(1, 4) if number % 2 else 0  # a clock would not know the machine's load
        written = stamp_of(last)
        pid = life("killed", [*settings, "resume=true"], write_always=True)
        for _ in range(steps):
            while stamp_of(last) == written:
                assert os.waitpid(pid, os.WNOHANG) == (0, 0), "it has ended by itself"
                time.sleep(0.001)
            written = stamp_of(last)
        time.sleep(draw.uniform(0.0, 1.0) * whole / 48)  # into the next step, or into its start
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        ends.append(os.waitstatus_to_exitcode(status))
        for path, read in ((Path("killed/best_model.pt"), read_checkpoint), (Path("killed/last.pt"), read_last)):
            if path.exists():
                content = read(path)
                if path.name == "last.pt":
                    progress.append(len(content["fit"]["history"]))
    _, status = os.waitpid(life("killed", [*settings, "resume=true"], write_always=False), 0)
    sys.stdout.write(json.dumps({"ends": ends, "progress": progress, "last": status, "seconds": whole}))


if __name__ == "__main__":
    with remembered_configs():
        main()
