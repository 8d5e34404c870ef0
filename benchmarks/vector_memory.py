"""Peak memory of a training on wide vectors, beside their size in single precision.

    python benchmarks/vector_memory.py                              # 2000 vectors of 50,000 features, 400 MB
    python benchmarks/vector_memory.py --vectors 4000 --words hidden_sizes=[64]
    python benchmarks/vector_memory.py --ending .parquet            # as tsmtl-represent writes it too
    python benchmarks/vector_memory.py --ending .csv                # the same columns as text

Each training is a process of its own; its peak is the kernel's (VmHWM), and the constant is that of the same
training on vectors of 10 features. A file as tsmtl-represent writes it, with its manifest, is read as well as a plain
one. The numbers are in docs/representations.md.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

ARGUMENTS = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ARGUMENTS.add_argument("--vectors", type=int, default=2000)
ARGUMENTS.add_argument("--features", type=int, default=50_000)
ARGUMENTS.add_argument("--ending", choices=[".npz", ".parquet", ".csv"], default=".npz")
ARGUMENTS.add_argument("--words", nargs="*", default=[], help="further words of tsmtl-train")
ARGUMENTS.add_argument("--train", type=Path, help=argparse.SUPPRESS)
WORDS = ["model=fc", "num_epochs=3", "batch_size=64", "lr=1e-3", "device=cpu", "trainer.threads=1"]


def write_vectors(path: Path, n: int, e: int) -> int:
    """Write vectors with a class and a number as tsmtl-represent does; give the bytes of the vectors.

    CSV has the columns of the Parquet file.
    """
    from tsmtl.representation.vector_file import vector_file

    if path.suffix == ".csv":
        import polars as pl

        table = path.with_suffix(".parquet")
        size = write_vectors(table, n, e)
        frame = pl.scan_parquet(table)
        with path.open("wb") as text:
            for at in range(0, n, 100):
                frame.slice(at, 100).collect().write_csv(text, include_header=at == 0)
        return size
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, n)
    with vector_file(path, [f"f{i + 1}" for i in range(e)]) as file:
        for at in range(0, n, 100):
            part = rng.standard_normal((len(y[at : at + 100]), e), dtype=np.float32)
            part[:, :5] += y[at : at + 100, None]
            file.add(part)
        split = np.array(["train", "train", "train", "val", "test"])[np.arange(n) % 5]
        columns = {"y_cls": np.array(["low", "mid", "top"])[y], "y_reg": y + rng.normal(size=n), "split": split}
        about = {"method": "drawn", "hyperparameters": {}, "seed": 0, "transform_sha256": "", "data": "drawn"}
        about |= {"data_sha256": None, "split_sha256": None, "units": {}, "versions": {}}
        file.finish(columns, about)
    return 4 * n * e


def peak_of(path: Path, words: list[str]) -> int:
    """Train in a process of its own, and give the bytes of its peak."""
    command = [sys.executable, __file__, "--train", str(path), "--words", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return int(done.stdout.splitlines()[-1])


def train(path: Path, words: list[str]) -> None:
    """Train on a file, and print the peak."""
    import tsmtl

    kind = "npz" if path.suffix == ".npz" else "vectors"
    with TemporaryDirectory() as folder:
        tsmtl.train([*WORDS, f"data={kind}", f"data.path={path}", f"hydra.run.dir={folder}/run", *words])
    lines = (
        Path("/proc/self/status").read_text().splitlines()
    )  # ru_maxrss would count the process that started this one
    print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024)


def main() -> None:
    given = ARGUMENTS.parse_args()
    if given.train is not None:
        train(given.train, given.words)
        return
    with TemporaryDirectory() as folder:
        wide, narrow = (Path(folder) / f"{name}{given.ending}" for name in ("wide", "narrow"))
        size = write_vectors(wide, given.vectors, given.features)
        write_vectors(narrow, given.vectors, 10)
        constant, peak = peak_of(narrow, given.words), peak_of(wide, given.words)
    said = {"vectors": size, "constant": constant, "peak": peak, "peak less constant": peak - constant}
    for name, value in said.items():
        print(f"{name:<20} {value / 1e6:8.0f} MB  {value / size:5.2f} x the vectors")


if __name__ == "__main__":
    main()
