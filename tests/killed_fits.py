"""A process that fits a representation in forked children and kills them; prints how each ended.

Usage: python killed_fits.py FOLDER WORD ...    lives of one tsmtl-represent, each ended at a random moment
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import tsmtl.checkpoint.last
from tsmtl.checkpoint.last import read_last
from tsmtl.config.represent_command import checked
from tsmtl.represent_data import represent_data

LIVES = 5


def life(name: str, words: list[str]) -> int:
    """Start one process that fits, its state written after every step; give its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        tsmtl.checkpoint.last.INTERVAL = tsmtl.checkpoint.last.SHARE = 0
        represent_data(*checked([*words, f"output={name}.npz"]))
        code = 0
    finally:
        os._exit(code)


def main() -> None:
    """Fit once undisturbed, then once with kills."""
    folder, *words = sys.argv[1:]
    os.chdir(folder)
    began = time.monotonic()
    _, status = os.waitpid(life("whole", words), 0)
    assert status == 0
    whole = time.monotonic() - began
    draw, last = random.Random(0), Path("killed.last.pt")
    ends, progress = [], []
    for _ in range(LIVES):
        before = last.stat().st_mtime_ns if last.exists() else 0
        pid = life("killed", [*words, "resume=true"])
        while not last.exists() or last.stat().st_mtime_ns == before:  # it has reached its training
            assert os.waitpid(pid, os.WNOHANG) == (0, 0), "it has ended by itself"
            time.sleep(0.001)
        time.sleep(draw.uniform(0.0, 1.0) * whole / (3 * LIVES))  # well before its end, also on a busy machine
        os.kill(pid, signal.SIGKILL)
        ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        state = read_last(last)["fit"]
        progress.append([len(state["history"]), 0 if state["losses"] is None else len(state["losses"])])
    _, status = os.waitpid(life("killed", [*words, "resume=true"]), 0)
    sys.stdout.write(json.dumps({"ends": ends, "progress": progress, "last": status}))


if __name__ == "__main__":
    main()
