"""Ranks that train many runs, one after another: starting ranks takes longer than the runs of a test.

Usage: python rank_cases.py SIZE FOLDER    FOLDER/cases.json maps each name to settings and whether batches stay as
small as they come

The ranks are forked from one process, which has imported all that they need.

Each rank writes ``FOLDER/<rank>.json``: by name, hashes of the weights of the last and of the best epoch.
"""

import hashlib
import json
import os
import signal
import sys
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import torch

import tsmtl.run
import tsmtl.training.probe
import tsmtl.training.sampling
from tsmtl.config.python_call import settings_and_folder
from tsmtl.training.process_group import joined
from tsmtl.training_run import Training

warnings.simplefilter("error")
JOINING, SHARE = tsmtl.training.sampling.batch_sizes, tsmtl.training.probe.SHARE


def as_they_come(n: int, batch_size: int) -> list[int]:
    """Divide instances into batches, the last one as small as it comes."""
    return [len(part) for part in torch.arange(n).split(batch_size)]


def train(settings: list[str], small_batches: bool, **more: object) -> None:
    """Train without pictures."""
    tsmtl.training.sampling.batch_sizes = as_they_come if small_batches else JOINING
    tsmtl.training.probe.SHARE = 10.0  # so that trainer.conflict looks after every epoch of so short a run
    try:
        tsmtl.run.run_training(*settings_and_folder(settings), **more)
    finally:
        # Other tests of this process want them back.
        tsmtl.training.sampling.batch_sizes, tsmtl.training.probe.SHARE = JOINING, SHARE


def hash_of(model: torch.nn.Module) -> str:
    """Give one hash for all weights and buffers."""
    digest = hashlib.sha256()
    for tensor in model.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def main() -> None:
    """Fork the ranks, and end as the first that fails."""
    size = int(sys.argv[1])
    os.chdir(sys.argv[2])
    torch.set_num_threads(1)
    ranks = [os.fork() or be(rank, size) for rank in range(size)]
    for _ in ranks:
        _, status = os.wait()
        if status:
            for rank in ranks:
                with suppress(ProcessLookupError):
                    os.kill(rank, signal.SIGKILL)
            sys.exit(os.waitstatus_to_exitcode(status))


def be(rank: int, size: int) -> NoReturn:
    """Be one of the ranks."""
    code = 1
    try:
        train_all(rank, size)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def train_all(rank: int, size: int) -> None:
    """Train the cases as one of the ranks."""
    found: dict[str, list[str]] = {}
    hashes: list[str] = []

    def noting_seen(parts, split, *more):  # the weights are those of the best epoch
        if split == "test":
            hashes.append(hash_of(parts.model))
        return seen_on(parts, split, *more)

    def noting_run(self, *more):
        result = run(self, *more)
        hashes.append(hash_of(self.parts.model))
        return result

    seen_on, run = tsmtl.run.seen_on, Training.run
    tsmtl.run.seen_on, Training.run = noting_seen, noting_run
    tsmtl.run.draw_run = lambda *given: None
    from remembered import remembered_configs  # beside this file, whose folder a script has on its path

    with remembered_configs(), joined(f"file://{os.getcwd()}/meeting", rank, size, rank) as ranks:
        for name, (settings, small_batches) in json.loads(Path("cases.json").read_text()).items():
            train([*settings, f"devices={size}", f"hydra.run.dir=ranks/{name}"], small_batches, ranks=ranks)
            found[name], hashes = hashes, []
    Path(f"{rank}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    main()
