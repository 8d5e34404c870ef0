"""Memory of a training on wide vectors, as the benchmark measures it."""

import pytest

from benchmarks.vector_memory import peak_of, write_vectors

WORDS = ["num_epochs=1", "hidden_sizes=[16]"]


@pytest.mark.parametrize("ending", [".npz", pytest.param(".parquet", marks=pytest.mark.slow)])
def test_a_training_on_wide_vectors_holds_them_once(tmp_path, ending):
    wide, narrow = (tmp_path / f"{name}{ending}" for name in ("wide", "narrow"))
    size = write_vectors(wide, 2000, 30_000)  # 240 MB
    write_vectors(narrow, 2000, 10)
    more = peak_of(wide, WORDS) - peak_of(narrow, WORDS)
    assert more < 1.8 * size, f"{more / size:.2f} times the vectors"
