"""What a busy neighbour costs: a training step while another process keeps one core busy, by threads and their waiting.

    python -m benchmarks.shared_core [--repeats 3] [--models fc cnn1d gru lstm lstm_fcn]

Each row is a process of its own, since the setting is read when torch is imported. All train as ``tsmtl-train`` does,
models of shipped sizes and batch size; *tsmtl* has its threads too: ``GOMP_SPINCOUNT=1000``, and ``threads_for`` the
model and the batch. Rows take turns; milliseconds a step of the wall, medians, and the ratio of two rows of a turn.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import torch

from benchmarks import machine
from benchmarks.cases import BY_NAME, MODELS, SERIES, model_of, split_of
from benchmarks.contestants import ROOT
from benchmarks.step_loop import tsmtl_loop
from benchmarks.table import markdown, ratios, spread
from tsmtl.training.step_environment import step_environment
from tsmtl.training.threads import threads_for

STEPS, SECONDS = 8, 0.5  # of an epoch; of a model in a process
ONE, OURS = "one thread", "tsmtl"
SETTINGS = {  # RULE: as many threads as the rule gives
    ONE: {"OMP_NUM_THREADS": "1"},
    OURS: {"GOMP_SPINCOUNT": "1000", "RULE": "1"},
    "tsmtl, passive": {"OMP_WAIT_POLICY": "passive", "RULE": "1"},
    "all cores, GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "all cores, as torch waits": {},
}


@step_environment()
def milliseconds_of(name: str, rule: bool) -> float:
    """Give a step's milliseconds, in this process."""
    torch.manual_seed(0)
    case = BY_NAME[name]
    model, size, threads = model_of(case), case.batch_size, torch.get_num_threads()
    if rule:
        torch.set_num_threads(threads_for(model, size, case.shape[1] if case.shape == SERIES else 1))
    loop = tsmtl_loop(model, split_of(case, STEPS * size), size)
    loop()
    times: list[float] = []
    while sum(times) < SECONDS or len(times) < 3:
        began = time.perf_counter()
        loop()
        times.append(time.perf_counter() - began)
    torch.set_num_threads(threads)
    return statistics.median(times) / STEPS * 1e3


def measured(models: list[str], repeats: int) -> dict[str, dict[str, list[float]]]:
    """Give the milliseconds of each setting and model, turn by turn."""
    found: dict[str, dict[str, list[float]]] = {name: {model: [] for model in models} for name in SETTINGS}
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GOMP_"))}
    command = [sys.executable, "-m", "benchmarks.shared_core", "--one", "--models", *models]
    for _ in range(repeats):
        for name, setting in SETTINGS.items():
            answer = subprocess.check_output(command, env=clean | setting, cwd=ROOT, text=True)
            for model, took in json.loads(answer).items():
                found[name][model].append(took)
    return found


def table_of(found: dict[str, dict[str, list[float]]]) -> str:
    """Write a row per setting, and tsmtl's time over that of one thread."""
    models = list(found[ONE])
    body = [[name, *(f"{statistics.median(own[model]):.2f}" for model in models)] for name, own in found.items()]
    over = [spread(ratios(found[OURS][model], found[ONE][model])).said() for model in models]
    return markdown(["threads", *models], [*body, [f"{OURS}, times {ONE}", *over]])


def main() -> None:
    """Print a table alone, and one with a busy neighbour."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--one", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps({name: milliseconds_of(name, "RULE" in os.environ) for name in arguments.models}))
        return
    print(machine.said(machine.facts(), "threads as each row says"))
    for busy in (False, True):
        print(f"\n{'with a busy neighbour' if busy else 'alone'}, load {machine.load():.1f}\n", flush=True)
        neighbour = subprocess.Popen([sys.executable, "-c", "while True: pass"]) if busy else None
        try:
            print(table_of(measured(arguments.models, arguments.repeats)), flush=True)
        finally:
            if neighbour is not None:
                neighbour.kill()
                neighbour.wait()


if __name__ == "__main__":
    main()
