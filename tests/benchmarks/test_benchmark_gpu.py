"""The comparison on a GPU, as far as a CPU can tell: its loops train, in turn, and its table has their numbers."""

import pytest
import torch

from benchmarks import gpu
from benchmarks.cases import CASES
from benchmarks.gpu import OURS, PLAIN, STEPS, cells_of, header, loops_of, main, seconds_of
from tests.training.tape import Again

CPU = torch.device("cpu")


def test_without_a_gpu_it_says_so_in_one_line(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main([]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "no CUDA device" in err


@pytest.mark.parametrize("case", [case for case in CASES if case.name == "fc"], ids=lambda case: case.name)
def test_all_loops_train_in_turn_and_the_table_has_their_ratios(case):
    loops = loops_of(case, 4, CPU, Again)
    assert list(loops) == [PLAIN, *(name for name in OURS if "TF32" not in name)], "a CPU has no TF32"
    seconds = seconds_of(loops, 2, 0.01, lambda: None)
    assert {name: len(found) for name, found in seconds.items()} == dict.fromkeys(loops, 2)
    cells = cells_of(case.name, 4, {name: [2.0, 4.0] if name == PLAIN else [1.0, 1.0] for name in loops})
    named = dict(zip(header()[3::2], cells[4::2], strict=True))
    assert cells[:3] == ["fc", "4", "3,000"]
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
