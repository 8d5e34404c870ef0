import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.test_windows import Case, cases, made
from tsmtl.data.preparation import InputPreparation
from tsmtl.data.windows import Windows
from tsmtl.training.lazy_split import LazySplit
from tsmtl.training.window_split import WindowSplit

CPU = torch.device("cpu")


def read_split(windows: Windows, rows: np.ndarray, preparation: InputPreparation) -> LazySplit:
    """Windows that are prepared when they are read."""
    targets = {task: t[torch.from_numpy(rows).long()] for task, t in targets_of(windows).items()}
    targets["cls"] = targets["cls"].long()
    return LazySplit(windows, rows, None, preparation, targets, CPU, None)


def targets_of(windows: Windows) -> dict[str, torch.Tensor]:
    n = len(windows)
    return {"cls": torch.arange(n, dtype=torch.int8) % 3, "reg": torch.arange(n, dtype=torch.float32)[:, None]}


@settings(max_examples=40, deadline=None, derandomize=True)
@given(case=cases(), random=st.randoms(use_true_random=False))
def test_batches_are_those_of_windows_prepared_when_they_are_read(case, random):
    windows = made(case)
    if not len(windows):
        return
    rows = np.array(random.choices(range(len(windows)), k=5), dtype=np.int32)
    preparation = InputPreparation.fit(windows, None, rows, "standard", "error")
    targets = targets_of(windows)
    read = read_split(windows, rows, preparation)
    values = windows.values.copy()
    preparation.scale_in_place(values)
    held = WindowSplit(torch.from_numpy(values), windows, rows, targets, {"reg": lambda numbers: numbers})
    assert len(held) == len(read) == 5
    for chosen in (torch.tensor([3, 0, 3]), torch.arange(5)):
        (x, none, y), (wanted, _, wanted_y) = held.batch(chosen), read.batch(chosen)
        assert none is None
        torch.testing.assert_close(x, wanted, rtol=0, atol=0)
        assert {task: (t.dtype, t.tolist()) for task, t in y.items()} == {
            task: (t.dtype, t.tolist()) for task, t in wanted_y.items()
        }
        assert y["cls"].tolist() == (rows[chosen.numpy()] % 3).tolist()
        assert y["cls"].dtype == torch.int64
    for split in (held, read):
        assert split.targets["reg"][:, 0].tolist() == rows.tolist()


@pytest.mark.parametrize("missing", ["interpolate", "mean"])
def test_missing_values_are_filled_in_each_window_from_its_own_rows_alone(missing):
    windows = made(Case([(0, 8, False)], window=4, stride=2, horizon=0, pad=False))
    windows.values[:8, 1] = [1, np.nan, 3, np.nan, np.nan, np.nan, np.nan, 9]
    every = np.arange(3)
    preparation = InputPreparation.fit(windows, None, every, "none", missing)
    x, _, _ = read_split(windows, every, preparation).batch(torch.arange(3))
    mean = 13 / 3
    wanted = {
        "interpolate": [[1, 2, 3, 3], [3, 3, 3, 3], [9, 9, 9, 9]],
        "mean": [[1, mean, 3, mean], [3, mean, mean, mean], [mean, mean, mean, 9]],
    }[missing]
    np.testing.assert_allclose(x[:, 1], np.array(wanted), rtol=1e-6)


def test_a_window_split_holds_no_copy_of_the_recording():
    windows = made(Case([(0, 50, False)], window=40, stride=1, horizon=0, pad=False))
    values = torch.from_numpy(windows.values)
    split = WindowSplit(values, windows, np.arange(11), targets_of(windows), {"reg": lambda numbers: numbers})
    values[0, 0] = 77
    assert split.batch(torch.tensor([0]))[0][0, 0, 0] == 77
    held = sum(t.nelement() for t in vars(split).values() if isinstance(t, torch.Tensor) and t is not values)
    assert held < 100
