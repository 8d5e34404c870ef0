"""The comparison on a GPU, as far as a CPU can tell: its loops train, in turn, and its table has their numbers."""

import pytest
import torch

from benchmarks import gpu, gpu_sweep
from benchmarks.cases import CASES
from benchmarks.gpu import LOADER, OURS, PLAIN, STEPS, cells_of, header, loops_of, seconds_of
from benchmarks.sweep_throughput import Took
from tests.training.tape import Again

CPU = torch.device("cpu")


@pytest.mark.parametrize("benchmark", [gpu, gpu_sweep])
def test_without_a_gpu_it_says_so_in_one_line(capsys, benchmark):
    assert benchmark.main([]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "no CUDA device" in err


@pytest.mark.parametrize("case", [case for case in CASES if case.name == "fc"], ids=lambda case: case.name)
def test_all_loops_train_in_turn_and_the_table_has_their_ratios(case):
    loops = loops_of(case, 4, CPU, Again)
    assert list(loops) == [PLAIN, LOADER, *(name for name in OURS if "TF32" not in name)], "a CPU has no TF32"
    seconds = seconds_of(loops, 2, 0.01, lambda: None)
    assert {name: len(found) for name, found in seconds.items()} == dict.fromkeys(loops, 2)
    cells = cells_of(case.name, 4, {name: [2.0, 4.0] if name == PLAIN else [1.0, 1.0] for name in loops})
    named = dict(zip(header()[4::2], cells[5::2], strict=True))
    assert cells[:4] == ["fc", "4", "3,000", "1,000"]
    assert named["eager ms"] == "3.00 (2.50-3.50)"
    assert named["captured, TF32 ms"] == "-"


def test_eager_and_captured_steps_are_the_same_training():
    """Else the comparison would be of two things."""
    (case,) = [case for case in CASES if case.name == "fc"]
    split = gpu.split_of(case, 4, CPU)
    assert len(split) == 4 * STEPS
    models = []
    for recorder in (None, Again()):
        torch.manual_seed(0)
        loop = gpu.our_loop(case, split, 4, False, recorder)
        loop()
        loop()
        cells = dict(zip(loop.__code__.co_freevars, loop.__closure__, strict=True))
        models.append(cells["step"].cell_contents.model.state_dict())
    for key, tensor in models[0].items():
        torch.testing.assert_close(models[1][key], tensor, rtol=1e-5, atol=1e-6)


def test_a_sweep_on_a_gpu_is_one_of_seeds_and_its_table_has_the_ratios(tsmtl_train):
    answer = tsmtl_train("-m", *gpu_sweep.words_of("cnn1d", 3, 2, 4), "hydra.launcher.dry_run=true")
    assert answer.code == 0, answer.err
    assert answer.out.count("seed=") == 3
    rows = gpu_sweep.rows_of("cnn1d", {1: [Took(9.0, 6.0)], 4: [Took(6.0, 3.0)]})
    assert rows[1] == ["cnn1d", "4", "6.0", "1.50 (1.50-1.50)", "3.0", "2.00 (2.00-2.00)"]
