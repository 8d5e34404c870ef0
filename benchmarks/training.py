"""Training: instances per second of tsmtl, against loops in plain torch, Lightning and tsai, in turn round by round."""

from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.cases import BATCH_SIZES, CASES, Case, write_data
from benchmarks.contestants import OURS, PEERS, Start, compete, started
from benchmarks.flops import flops_of
from benchmarks.stock_models import stock_model
from benchmarks.table import Row, Spread, markdown, ratios, spread
from benchmarks.workers.in_torch import SIDE
from tsmtl.models.registry import BACKBONES

PART = "training"
TSMTL, BF16, NATIVE, NATIVE_BF16 = "tsmtl", "tsmtl, bf16", "tsmtl, native", "tsmtl, native bf16"
BY_TORCH = {NATIVE: TSMTL, NATIVE_BF16: BF16}  # the same without native kernels
IN_BF16 = (BF16, NATIVE_BF16)
WITH_KERNELS = ("cnn1d", "gru", "lstm_fcn")  # models that have some
PRODUCT_FLOPS = 2 * SIDE**3
FLOAT32, BFLOAT16 = "product, float32", "product, bf16"
LIMITS = {TSMTL: FLOAT32, NATIVE: FLOAT32, BF16: BFLOAT16, NATIVE_BF16: BFLOAT16}  # of what each of ours multiplies
OTHERS = {"plain": "plain loop", "loader": "DataLoader loop", "lightning": "Lightning", "tsai": "tsai"}
STARTS = {
    TSMTL: Start(OURS, "in_tsmtl"),
    BF16: Start(OURS, "in_tsmtl", ("trainer.precision=bf16",)),
    NATIVE: Start(OURS, "in_tsmtl", ("trainer.kernels=native",)),
    NATIVE_BF16: Start(OURS, "in_tsmtl", ("trainer.precision=bf16", "trainer.kernels=native")),
    "plain": Start(OURS, "in_torch", ("plain",)),
    "loader": Start(OURS, "in_torch", ("loader",)),
    "lightning": Start(PEERS, "in_lightning"),
    "tsai": Start(PEERS, "in_tsai"),
    FLOAT32: Start(OURS, "in_torch", ("product_float32",)),
    BFLOAT16: Start(OURS, "in_torch", ("product_bfloat16",)),
}


def measure(threads: int, repeats: int, say: Callable[[str], None], cases: Sequence[Case] = CASES) -> list[Row]:
    """Measure all cases and batch sizes.

    Args:
        threads: Of every process.
        repeats: Rounds that count.
        say: Is told how far it is.
        cases: The models.

    Returns:
        A row of the versions that the peers have, and one per case, batch size and contestant, with the seconds of its
        rounds and their peak memory in bytes, or why there are none.
    """
    rows: list[Row] = []
    with TemporaryDirectory() as folder, started(STARTS, threads, Path(folder)) as contestants:
        peers = [c.versions() for c in contestants if STARTS[c.name].python == PEERS]
        rows.append({"part": PART, "peers": {name: number for found in peers for name, number in found.items()}})
        for batch_size in BATCH_SIZES:
            for case in cases:
                say(f"{case.name}, batch {batch_size}")
                count, data = case.count(batch_size), Path(folder) / "data.npz"
                write_data(case, count, data)
                told: Row = {"model": case.model, "settings": case.settings, "shape": case.shape}
                told |= {"batch_size": batch_size, "data": str(data)}
                taking_part = [c for c in contestants if takes_part(c.name, case.model)]
                seconds, why = compete(taking_part, told, repeats)
                flops = flops_of(stock_model(case.model, case.shape, case.settings), case.shape, batch_size)
                about: Row = {"part": PART, "case": case.name, "batch": batch_size, "instances": count}
                about |= {"step_flops": flops}
                peaks = {c.name: max(c.peaks, default=None) for c in taking_part}
                rows += [
                    about | {"contestant": name, "seconds": found, "peak": peaks[name]}
                    for name, found in seconds.items()
                ]
                rows += [about | {"contestant": name, "why": reason} for name, reason in why.items()]
    return rows


def takes_part(name: str, model: str) -> bool:
    """Say whether a model trains as a contestant's name says; else it would be another one's training once more."""
    trains_in_it = name not in IN_BF16 or BACKBONES[model].gains_by_bf16
    return trains_in_it and (name not in BY_TORCH or model in WITH_KERNELS)


class Results:
    """The rows of this part, by case, batch size and contestant."""

    def __init__(self, rows: Sequence[Row]) -> None:
        own = [row for row in rows if row["part"] == PART and "case" in row]
        self.rows = {(row["case"], row["batch"], row["contestant"]): row for row in own if "seconds" in row}
        self.places = list(dict.fromkeys((row["case"], row["batch"]) for row in own))
        self.absent = [row for row in own if "why" in row]

    def ratio(self, case: str, batch: int, ours: str, other: str) -> Spread | None:
        """Give how many times the other's throughput ours is; None where one was not measured."""
        own, its = self.rows.get((case, batch, ours)), self.rows.get((case, batch, other))
        return None if own is None or its is None else spread(ratios(its["seconds"], own["seconds"]))

    def throughput(self, case: str, batch: int, name: str) -> float:
        """Give instances per second, of the median round."""
        row = self.rows[case, batch, name]
        return float(row["instances"] / spread(row["seconds"]).median)

    def share_of_limit(self, case: str, batch: int, ours: str) -> Spread | None:
        """Give which share of the operations per second of a large product ours reaches."""
        own, limit = self.rows.get((case, batch, ours)), self.rows.get((case, batch, LIMITS[ours]))
        if own is None or limit is None:
            return None
        flops = own["step_flops"] * own["instances"] / batch
        return spread([share(flops, a, b) for a, b in zip(own["seconds"], limit["seconds"], strict=True)])


def share(flops: float, seconds: float, product_seconds: float) -> float:
    """Give the rate of a round over that of the product measured in it."""
    return (flops / seconds) / (PRODUCT_FLOPS / product_seconds)


def tables(rows: Sequence[Row]) -> str:
    """Write a table for each precision, with and without native kernels, and one of the memory."""
    results = Results(rows)
    peers: dict[str, str] = next((row["peers"] for row in rows if row["part"] == PART and "peers" in row), {})
    parts = [f"Peers: {', '.join(f'{name} {number}' for name, number in peers.items())}."] if peers else []
    for ours in LIMITS:
        others = _others(ours)
        body = [
            _cells(results, case, batch, ours) for case, batch in results.places if (case, batch, ours) in results.rows
        ]
        if body:
            header = ["model", "batch", f"{ours}: instances/s", *(f"of {name}" for name in others.values())]
            parts.append(markdown([*header, "% of product"], body))
    limits = [
        f"{name[9:]} {_peak(results, name):,.0f} GFLOP/s" for name in (FLOAT32, BFLOAT16) if _measured(results, name)
    ]
    parts.append(f"Product of two large matrices, median over the run: {', '.join(limits)}.")
    return "\n\n".join([*parts, *_absent(results), *_memory(results)])


def _others(ours: str) -> dict[str, str]:
    """Give whom one of ours is compared with, and their names in tables: native kernels first with torch's own."""
    return ({BY_TORCH[ours]: BY_TORCH[ours]} if ours in BY_TORCH else {}) | OTHERS


def _cells(results: Results, case: str, batch: int, ours: str) -> list[str]:
    found = [results.ratio(case, batch, ours, other) for other in _others(ours)]
    limit = results.share_of_limit(case, batch, ours)
    times = ["-" if ratio is None else ratio.said() for ratio in found]
    of_limit = "-" if limit is None else f"{100 * limit.median:.0f}"
    return [case, str(batch), f"{results.throughput(case, batch, ours):,.0f}", *times, of_limit]


def _memory(results: Results) -> list[str]:
    """Write the table of peak memory, where the system says it."""
    names = [name for name in (*LIMITS, *OTHERS) if _measured(results, name)]
    body = []
    for case, batch in results.places:
        peaks = [results.rows.get((case, batch, name), {}).get("peak") for name in names]
        if any(peaks):
            body.append([case, str(batch), *("-" if peak is None else f"{peak / 2**20:,.0f}" for peak in peaks)])
    shown = [OTHERS.get(name, name) for name in names]
    return (
        [f"Peak memory of the process in a round, MiB:\n\n{markdown(['model', 'batch', *shown], body)}"] if body else []
    )


def _absent(results: Results) -> list[str]:
    """Say who was not measured and why; where it was for some models, for which."""
    cases: dict[tuple[str, str], list[str]] = {}
    for row in results.absent:
        cases.setdefault((row["contestant"], row["why"]), []).append(row["case"])
    everywhere = {case for case, _ in results.places}
    lines = []
    for (name, why), found in cases.items():
        of = "" if set(found) == everywhere else f" for {', '.join(dict.fromkeys(found))}"
        lines.append(f"Not measured: {name}{of} ({why}).")
    return lines


def _measured(results: Results, name: str) -> bool:
    return any(contestant == name for _, _, contestant in results.rows)


def _peak(results: Results, name: str) -> float:
    seconds = [s for (_, _, contestant), row in results.rows.items() if contestant == name for s in row["seconds"]]
    return PRODUCT_FLOPS / spread(seconds).median / 1e9
