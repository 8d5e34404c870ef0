"""A process that trains on a folder of files and prints how much anonymous memory that took, in MiB.

Usage: python anonymous_memory.py FOLDER SETTING ...    FOLDER holds small/ and large/, alike but for their length

The blocks that are worked on at a time are a sixteenth of those that ship, so that a file of a tenth of a GiB is large.
"""

import os
import sys
import threading
from pathlib import Path

import tsmtl.run
from tsmtl import splits
from tsmtl.config.python_call import settings_and_folder
from tsmtl.data import conditions, features, instances, preparation, windows


def anonymous() -> int:
    """Give the memory that is no file's, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon:"))


def main() -> None:
    """Train on the small folder, which loads all that a run loads; then on the large one, watched."""
    folder, *settings = sys.argv[1:]
    for module in (instances, preparation, windows, features, conditions, splits):
        module.BLOCK_VALUES = 2**18
    tsmtl.run.draw_run = lambda *given: None
    os.chdir(folder)
    tsmtl.run.run_training(*settings_and_folder([*settings, "data.path=small", "hydra.run.dir=run_small"]))
    before, most, done = anonymous(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.005):
            most = max(most, anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    tsmtl.run.run_training(*settings_and_folder([*settings, "data.path=large", "hydra.run.dir=run_large"]))
    done.set()
    watcher.join()
    sys.stdout.write(f"{(most - before) / 1024:.1f}")


if __name__ == "__main__":
    main()
