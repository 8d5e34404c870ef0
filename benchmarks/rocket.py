"""MiniRocket and MultiRocket beside aeon's, which Numba compiles before the clock starts: seconds of the processor.

    python benchmarks/rocket.py             # one thread each
    python benchmarks/rocket.py --threads 2

Both transform the same series, again and again in turn; shown are the median times of the process on the processor and
the median ratio within a turn, and the share of MiniRocket's features that are the same to 1e-6 with aeon's dilations,
channels and biases. The numbers are in docs/representations.md.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

ARGUMENTS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ARGUMENTS.add_argument("--threads", type=int, default=1, help="of each of the two")
ARGUMENTS.add_argument("--repeats", type=int, default=7, help="of each measurement")
Array = npt.NDArray[np.float32]


def data_sets() -> dict[str, Array]:
    from aeon.datasets import load_arrow_head, load_basic_motions

    rng = np.random.default_rng(0)
    return {
        "BasicMotions": load_basic_motions(split="test")[0].astype(np.float32),
        "ArrowHead": load_arrow_head(split="test")[0].astype(np.float32),
        "noise, 1 channel": rng.normal(size=(1000, 1, 100)).astype(np.float32),
        "noise, 17 channels": rng.normal(size=(500, 17, 60)).astype(np.float32),
    }


def kernels_of(parameters: tuple[Any, ...]) -> Any:
    """Give our kernels with the parameters of aeon's."""
    from tsmtl.representation.convolutions import Convolutions

    *of_channels, dilations, counts, biases = parameters
    n = of_channels[0] if of_channels else np.ones(84 * len(dilations), int)
    channels = of_channels[1] if of_channels else np.zeros(len(n), int)
    chosen = tuple(tuple(channels[end - k : end].tolist()) for end, k in zip(np.cumsum(n), n, strict=True))
    return Convolutions(np.asarray(dilations, np.int32), np.asarray(counts, np.int32), chosen, biases)


def turns(jobs: dict[str, Callable[[], object]], repeats: int) -> dict[str, list[float]]:
    """Give the seconds of the processor that each job took in each turn."""
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for job in jobs.values():
        job()
    for _ in range(repeats):
        for name, job in jobs.items():
            began = time.process_time()
            job()
            seconds[name].append(time.process_time() - began)
    return seconds


def compare_mini(name: str, x: Array, given: argparse.Namespace) -> None:
    from aeon.transformations.collection.convolution_based import MiniRocket

    from tsmtl.representation.minirocket import share_above

    theirs = MiniRocket(random_state=0, n_jobs=given.threads).fit(x)
    ours = kernels_of(theirs.parameters)
    equal = np.mean(np.abs(theirs.transform(x) - ours.pooled(x, share_above, 1)) < 1e-6)
    jobs = {"aeon": lambda: theirs.transform(x), "tsmtl": lambda: ours.pooled(x, share_above, 1)}
    show("minirocket", name, x, turns(jobs, given.repeats), f"{equal:.5f}")


def compare_multi(name: str, x: Array, given: argparse.Namespace) -> None:
    from aeon.transformations.collection.convolution_based import MultiRocket

    from tsmtl.representation.multirocket import four_pools

    theirs = MultiRocket(random_state=0, n_jobs=given.threads).fit(x)
    ours = kernels_of(theirs.parameter), kernels_of(theirs.parameter1)
    jobs = {
        "aeon": lambda: theirs.transform(x),
        "tsmtl": lambda: [k.pooled(v, four_pools, 4) for k, v in zip(ours, (x, np.diff(x)), strict=True)],
    }
    show("multirocket", name, x, turns(jobs, 3), "")


def main() -> None:
    given = ARGUMENTS.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(given.threads)
    import torch

    torch.set_num_threads(given.threads)
    print(f"{'method':<12} {'series':<20} {'N x C x T':<16} {'aeon':>8} {'tsmtl':>8} {'ratio':>6}  equal")
    for name, x in data_sets().items():
        compare_mini(name, x, given)
        if len(x) < 100:
            compare_multi(name, x, given)


def show(method: str, name: str, x: Array, seconds: dict[str, list[float]], equal: str) -> None:
    shape = " x ".join(map(str, x.shape))
    aeon, tsmtl = (statistics.median(seconds[name]) for name in ("aeon", "tsmtl"))
    ratio = statistics.median([a / b for a, b in zip(seconds["tsmtl"], seconds["aeon"], strict=True)])
    print(f"{method:<12} {name:<20} {shape:<16} {aeon:8.4f} {tsmtl:8.4f} {ratio:6.2f}  {equal}", flush=True)


if __name__ == "__main__":
    main()
