"""Memory of a training on wide vectors, as the benchmark measures it."""

from benchmarks.vector_memory import peak_of, write_vectors

WORDS = ["num_epochs=1", "hidden_sizes=[16]"]


def test_a_training_on_wide_vectors_holds_them_once(tmp_path):
    size = write_vectors(tmp_path / "wide.npz", 2000, 30_000)  # 240 MB
    write_vectors(tmp_path / "narrow.npz", 2000, 10)
    more = peak_of(tmp_path / "wide.npz", WORDS) - peak_of(tmp_path / "narrow.npz", WORDS)
    assert more < 1.8 * size, f"{more / size:.2f} times the file"
