"""MiniRocket and MultiRocket beside aeon's, which Numba compiles before the clock starts: seconds of the processor.

    python benchmarks/rocket.py             # one thread each
    python benchmarks/rocket.py --threads 2

All transform the same series, again and again in turn; shown are the median times of the process on the processor and
the median ratios to aeon's within a turn, and the share of MiniRocket's features that are the same to 1e-6 with aeon's
dilations, channels and biases. `tsmtl` is what a transform takes: native kernels, loaded or compiled before the clock
starts; `NumPy` what it takes where there is no compiler. The numbers are in docs/representations.md.
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

    from tsmtl.representation.poolings import SHARE
    from tsmtl.representation.rocket_native import pooled

    theirs = MiniRocket(random_state=0, n_jobs=given.threads).fit(x)
    ours = kernels_of(theirs.parameters)
    equal = np.mean(np.abs(theirs.transform(x) - pooled(ours, x, SHARE)) < 1e-6)
    jobs = {
        "aeon": lambda: theirs.transform(x),
        "tsmtl": lambda: pooled(ours, x, SHARE),
        "numpy": lambda: ours.pooled(x, SHARE),
    }
    show("minirocket", name, x, turns(jobs, given.repeats), f"{equal:.5f}")


def compare_multi(name: str, x: Array, given: argparse.Namespace) -> None:
    from aeon.transformations.collection.convolution_based import MultiRocket

    from tsmtl.representation.poolings import FOUR
    from tsmtl.representation.rocket_native import pooled

    theirs = MultiRocket(random_state=0, n_jobs=given.threads).fit(x)
    of_series, of_differences = kernels_of(theirs.parameter), kernels_of(theirs.parameter1)
    both = (of_series, x), (of_differences, np.diff(x))
    jobs = {
        "aeon": lambda: theirs.transform(x),
        "tsmtl": lambda: [pooled(own, values, FOUR) for own, values in both],
        "numpy": lambda: [own.pooled(values, FOUR) for own, values in both],
    }
    show("multirocket", name, x, turns(jobs, given.repeats), "")


def main() -> None:
    given = ARGUMENTS.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = str(given.threads)
    import torch

    torch.set_num_threads(given.threads)
    from tsmtl.native import NativeError
    from tsmtl.representation.rocket_native import ROCKET_KERNELS

    try:
        _ = ROCKET_KERNELS.loaded
    except NativeError as error:
        print(f"tsmtl is NumPy's way: {error}")
    columns = f"{'aeon':>8} {'tsmtl':>8} {'ratio':>6} {'NumPy':>8} {'ratio':>6}"
    print(f"{'method':<12} {'series':<20} {'N x C x T':<16} {columns}  equal")
    for name, x in data_sets().items():
        compare_mini(name, x, given)
        compare_multi(name, x, given)


def show(method: str, name: str, x: Array, seconds: dict[str, list[float]], equal: str) -> None:
    shape = " x ".join(map(str, x.shape))
    found = f"{statistics.median(seconds['aeon']):8.4f}"
    for ours in ("tsmtl", "numpy"):
        ratio = statistics.median([a / b for a, b in zip(seconds[ours], seconds["aeon"], strict=True)])
        found += f" {statistics.median(seconds[ours]):8.4f} {ratio:6.2f}"
    print(f"{method:<12} {name:<20} {shape:<16} {found}  {equal}".rstrip(), flush=True)


if __name__ == "__main__":
    main()
