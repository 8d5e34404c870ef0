"""Recorded steps against steps as they come; on a CPU a tape of the step's operations stands for the graph."""

import copy
import logging
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.processor import needs_bf16
from tests.training.tape import Again, Tape
from tsmtl.data.windows import Windows
from tsmtl.models import convolution_gpu
from tsmtl.models.backbone import Backbone
from tsmtl.models.cnn1d import CNN1D
from tsmtl.models.lstm import LSTM
from tsmtl.models.lstm_fcn import LSTMFCN
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.tasks.losses import Criterion, cross_entropy, regression_loss
from tsmtl.training.augmentation import Augmentation, channels_of
from tsmtl.training.balance import Balance
from tsmtl.training.batches import Split, TensorSplit
from tsmtl.training.best_epoch import BestEpoch
from tsmtl.training.captured_step import WARM_UP, CapturedSteps, CudaGraphs, why_not_captured
from tsmtl.training.evaluation import outputs_of
from tsmtl.training.lazy_split import LazySplit
from tsmtl.training.loop import Fit, Row, fit
from tsmtl.training.optimizers import build_optimizer, load_state, make_capturable, state_of
from tsmtl.training.ranks import ALONE
from tsmtl.training.sampling import Sampler
from tsmtl.training.schedule import Schedule
from tsmtl.training.step import Step
from tsmtl.training.weight_average import WeightAverage
from tsmtl.training.window_split import WindowSplit

BATCH, EPOCHS, LR = 6, 4, 0.01  # 22 instances: batches of 6, 6, 6 and 4
CHANGES = [("jitter", 0.1), ("scaling", 0.1), ("channel_mask", 0.3), ("mixup", 0.4)]


def criterion() -> Criterion:
    losses = {"cls": cross_entropy(None, 0.1, masked=True), "reg": regression_loss("huber", 1.0, masked=True)}
    return Criterion(losses, {"cls": 0.3, "reg": 0.7})


@pytest.fixture
def train(trainer, make_model, split):
    """Give a function that trains with steps recorded by ``recorder``, or as they come; gives rows and state."""

    def trained(
        recorder: Again | type[Tape] | None,
        data: Split = split,
        model: MultiTaskModel | None = None,
        gradient_clip: float | None = None,
        average: float | None = None,
        changes: list[tuple[str, float]] | None = None,
        unfreeze_at: int | None = None,
        capturable: bool = True,
        on_step: Callable[[], None] = lambda: None,
        **settings: Any,
    ) -> tuple[list[Row], dict[str, Tensor], CapturedSteps | None]:
        model = make_model(dropout=0.4) if model is None else model
        torch.manual_seed(7)
        asked = trainer(**settings)
        optimizer = build_optimizer(model.heads.parameters(), LR, asked, model.backbone.parameters())
        if capturable:
            make_capturable(optimizer)
        sampler = Sampler(len(data), BATCH, data.device)
        if recorder is Tape:
            recorder = Tape(model, optimizer)
        captured = None if recorder is None else CapturedSteps(recorder, sampler.sizes)
        mean = None if average is None else WeightAverage(model, average)

        def validate() -> Row:
            total, parts = criterion()(outputs_of(model if mean is None else mean.model, data), data.targets)
            return {"val/loss": total.item()} | {f"val/{task}/loss": part.item() for task, part in parts.items()}

        result = fit(
            model,
            criterion(),
            optimizer,
            Schedule(optimizer, asked, EPOCHS, sampler.steps),
            data,
            validate,
            BestEpoch(higher_is_better=False, patience=None),
            "val/loss",
            EPOCHS,
            sampler,
            torch.Generator().manual_seed(0),
            gradient_clip,
            on_step=on_step,
            before_epoch=lambda epoch: model.freeze_backbone(epoch < unfreeze_at) if unfreeze_at else None,
            augmentation=Augmentation(changes, channels_of(data)) if changes else None,
            average=mean,
            captured=captured,
        )
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in result.history]
        return rows, {**model.state_dict(), **{f"best.{k}": v for k, v in result.best_state.items()}}, captured

    return trained


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for key, tensor in theirs.items():
        assert torch.equal(ours[key], tensor), key


CASES: dict[str, dict[str, Any]] = {
    "adam": {},
    "adamw, cosine after a warm-up, two rates": {
        **{"optimizer": "adamw", "weight_decay": 0.1, "schedule": "cosine", "warmup_epochs": 2},
        "lr_backbone_factor": 0.3,
    },
    "sgd, plateau": {"optimizer": "sgd", "schedule": "plateau", "plateau_patience": 1},
    "gradient clipped": {"gradient_clip": 0.05},
    "weights averaged": {"average": 0.9},
    "inputs changed": {"changes": CHANGES},
}


@pytest.mark.parametrize("case", CASES)
def test_recorded_steps_give_the_training_of_steps_as_they_come_to_the_last_bit(train, case):
    rows, state, captured = train(Tape, **CASES[case])
    expected_rows, expected, _ = train(None, **CASES[case])
    assert rows == expected_rows
    assert_same(state, expected)
    assert (captured._recorder.aside_count, captured._recorder.recorded) == (WARM_UP, 1)
    assert captured.replayed == 3 * EPOCHS - WARM_UP, "all other batches of six; those of four as they come"


BACKBONES: dict[str, Callable[[], Backbone]] = {
    "lstm": lambda: LSTM(2, 8, 4, 2, 0.3, True, "attention"),
    "cnn1d": lambda: CNN1D(2, 8, 4, 3, 1, 1, 0.3, "flatten"),
    "lstm_fcn": lambda: LSTMFCN(2, 8, 1, 0.4, 0.1, 4, [4, 8, 4], [4, 3, 3], True, False, "mean"),
    "lstm_fcn, shuffled": lambda: LSTMFCN(2, 8, 2, 0.4, 0.1, 4, [4, 8, 4], [4, 3, 3], True, True, "max"),
}


@pytest.mark.parametrize("bf16", [False, True], ids=["float32", "bf16"])
@pytest.mark.parametrize("name", BACKBONES)
def test_the_steps_of_the_shipped_backbones_can_be_recorded(train, split, name, bf16):
    """Batch norm, dropout in and behind layers, readouts; the vectors and the fc backbone are in all other tests."""

    def model() -> MultiTaskModel:
        torch.manual_seed(0)
        backbone = BACKBONES[name]()
        assert backbone.capturable
        return MultiTaskModel(backbone, {"cls": 3, "reg": 1}, bf16=bf16)

    x = torch.randn(22, 2, 8, generator=torch.Generator().manual_seed(1))
    data = TensorSplit(x, split.targets)
    augmented: dict[str, Any] = {"changes": [("time_mask", 0.2), ("window_warp", 0.3), ("mixup", 0.4)]}
    rows, state, captured = train(Tape, data=data, model=model(), gradient_clip=0.5, **augmented)
    expected_rows, expected, _ = train(None, data=data, model=model(), gradient_clip=0.5, **augmented)
    assert captured.replayed == 3 * EPOCHS - WARM_UP
    assert rows == expected_rows
    assert_same(state, expected)


def test_a_step_that_asks_for_a_value_is_found_out(train, caplog, make_model):
    """As by a GPU; the tape would not notice it otherwise, since on a CPU a value costs nothing."""
    model = make_model()
    forward = model.backbone.forward
    model.backbone.forward = lambda x: forward(x) * (2 if x.detach().sum().item() > 0 else 1)
    _, _, captured = train(Tape, model=model)
    assert captured.replayed == 0
    assert "cannot be recorded (asks for the value of a tensor)" in caplog.text


@needs_bf16
def test_recorded_steps_in_bfloat16_are_those_that_come(train, make_model):
    def model() -> MultiTaskModel:
        found = make_model(dropout=0.4)
        found.bf16 = True
        return found

    rows, state, captured = train(Tape, model=model())
    expected_rows, expected, _ = train(None, model=model())
    assert rows == expected_rows
    assert_same(state, expected)
    assert captured.replayed
    assert rows != train(None)[0], "it did compute in bfloat16"


def test_missing_labels_come_through_the_buffers(train, split):
    targets = {"cls": split.targets["cls"].clone(), "reg": split.targets["reg"].clone()}
    targets["cls"][::3], targets["reg"][::2] = -1, torch.nan
    data = TensorSplit(split.x, targets)
    rows, state, _ = train(Tape, data=data)
    expected_rows, expected, _ = train(None, data=data)
    assert rows == expected_rows
    assert_same(state, expected)


def test_batches_that_the_host_has_read_are_copied_into_the_recording(train, split):
    lazy = LazySplit(split.x.numpy(), np.arange(22), None, None, split.targets, split.device, None, reads_ahead=True)
    rows, state, captured = train(Tape, data=lazy)
    expected_rows, expected, _ = train(None)
    assert rows == expected_rows
    assert_same(state, expected)
    assert captured.replayed == 3 * EPOCHS - WARM_UP


def test_windows_are_gathered_within_the_recording(train, split):
    values, count = split.x.numpy().copy(), np.array([22])
    windows = Windows(values, np.array([0]), count, np.array([0]), window=1, stride=1)
    gathered = WindowSplit(split.x, windows, np.arange(22), split.targets, {})
    assert gathered.resident

    class Flat(WindowSplit):
        """Windows of one step, as the vectors that the model here reads."""

        def batch(self, rows: Tensor) -> Any:
            x, lengths, targets = super().batch(rows)
            return x[:, :, 0], lengths, targets

    data = Flat(split.x, windows, np.arange(22), split.targets, {})
    rows, state, _ = train(Tape, data=data)
    expected_rows, expected, _ = train(None)
    assert rows == expected_rows
    assert_same(state, expected)


def test_a_backbone_that_begins_to_learn_is_recorded_anew(train, make_model):
    def model() -> MultiTaskModel:
        found = make_model(dropout=0.4)
        found.freeze_backbone()
        return found

    rows, state, captured = train(Tape, model=model(), unfreeze_at=3, weight_decay=0.1)
    expected_rows, expected, _ = train(None, model=model(), unfreeze_at=3, weight_decay=0.1)
    assert rows == expected_rows
    assert_same(state, expected)
    assert (captured._recorder.recorded, captured._recorder.aside_count) == (2, 2 * WARM_UP)
    assert captured.replayed == 3 * EPOCHS - 2 * WARM_UP


def test_a_step_that_cannot_be_recorded_is_taken_as_it_comes_and_said_once(train, caplog, monkeypatch):
    handled, take = [], Step.__call__

    def noting(step: Step, *batch: Any) -> list[Tensor]:
        handled.append(sys.exc_info()[0])
        return take(step, *batch)

    monkeypatch.setattr(Step, "__call__", noting)
    with caplog.at_level(logging.WARNING):
        rows, state, captured = train(Again(fails=True))
    expected_rows, expected, _ = train(None)
    assert rows == expected_rows
    assert_same(state, expected)
    assert captured.replayed == 0
    assert set(handled) == {None}, "an error that is being handled keeps what the recording computed"
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    assert [record.getMessage() for record in warnings] == [
        "trainer.cuda_graph: this step cannot be recorded (operation not permitted when stream is capturing), so that "
        "every operation is launched by itself; trainer.cuda_graph=off does so from the start"
    ]


class _FailingCapture:
    """Stands for ``torch.cuda.graph`` where the end of a capture fails; up to PyTorch 2.12 its pool stays in force.

    Args:
        pools: Those that memory is had from.
    """

    def __init__(self, pools: set[tuple[int, int]], ends: bool) -> None:
        self.pools, self.ends = pools, ends

    def __call__(self, graph: Any, *, pool: tuple[int, int], stream: Any, capture_error_mode: str) -> "_FailingCapture":
        self.pool = pool
        return self

    def __enter__(self) -> None:
        self.pools.add(self.pool)

    def __exit__(self, *error: object) -> None:
        if self.ends:
            self.leave(1, self.pool)
        raise RuntimeError("CUDA error: operation failed due to a previous error during capture")

    def leave(self, device: int, pool: tuple[int, int]) -> None:
        if device != 1 or pool not in self.pools:
            raise RuntimeError("endAllocatePool: not currently recording to mempool_id")
        self.pools.remove(pool)


@pytest.mark.parametrize("ends", [False, True])
def test_behind_a_failed_recording_memory_is_had_as_before(monkeypatch, ends):
    """What only a GPU shows of it is in tests/test_gpu.py."""
    pools: set[tuple[int, int]] = set()
    capture, said = _FailingCapture(pools, ends), []
    generator = SimpleNamespace(clone_state=lambda: "here", graphsafe_set_state=said.append)
    stands_in = {
        **{"Stream": lambda device: "aside", "current_stream": lambda device: "main", "set_stream": said.append},
        **{"CUDAGraph": lambda: SimpleNamespace(reset=lambda: None), "graph_pool_handle": lambda: (0, 7)},
        **{"graph": capture, "default_generators": [None, generator]},
    }
    for name, stand_in in stands_in.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    before_2_8 = "_cuda_endAllocateCurrentStreamToPool"
    monkeypatch.setattr(
        torch._C, before_2_8 if hasattr(torch._C, before_2_8) else "_cuda_endAllocateToPool", capture.leave
    )
    with pytest.raises(RuntimeError, match="during capture"):
        CudaGraphs(torch.device("cuda", 1)).record(lambda: None)
    assert said == ["main", "here"]
    assert not pools


@pytest.mark.parametrize("fails", [False, True])
def test_the_steps_before_a_recording_are_those_that_are_recorded(train, split, monkeypatch, fails):
    """Kernels are loaded in them: a convolution of a GPU has its way of recorded steps there already."""
    said = []
    monkeypatch.setattr("tsmtl.models.convolution.exact_on_gpu", lambda x: True)

    def gains(x: Tensor) -> bool:
        said.append((len(x), convolution_gpu.gains_by_product(x)))
        return said[-1][1]

    monkeypatch.setattr("tsmtl.models.convolution.gains_by_product", gains)
    data = TensorSplit(torch.randn(22, 2, 8), split.targets)
    model = MultiTaskModel(CNN1D(2, 8, 4, 3, 1, 1, 0.0, "mean"), {"cls": 3, "reg": 1})
    train(Again(fails=True) if fails else Tape, data=data, model=model)
    first = said[: 2 * (len(split) // BATCH + 1) : 2]  # of two convolutions
    assert first == [*[(BATCH, True)] * WARM_UP, (len(split) % BATCH, False)]
    later = said[2 * len(first) :: 2]
    assert later.count((BATCH, True)) == (0 if fails else 1)
    assert later.count((BATCH, False)) == (3 * (EPOCHS - 1) if fails else 0)
    assert not any(product for count, product in later if count != BATCH)


def step_of(model: MultiTaskModel, optimizer: torch.optim.Optimizer) -> Step:
    return Step(model, criterion(), optimizer, None, None, ALONE, None)


def test_what_a_step_gives_is_left_alone_by_later_ones_and_shares_no_memory_with_them(trainer, make_model, split):
    model = make_model()
    optimizer = build_optimizer(model.parameters(), LR, trainer())
    make_capturable(optimizer)
    captured = CapturedSteps(Tape(model, optimizer), [BATCH])
    model.train()
    given, kept, asked = [], [], [torch.arange(start, start + BATCH) for start in range(10)]
    for rows in asked:
        losses = captured.take(step_of(model, optimizer), split, rows)
        assert len(losses) == 3
        assert not any(loss.requires_grad for loss in losses)
        given.append(losses)
        kept.append([loss.clone() for loss in losses])
    assert captured.replayed == 10 - WARM_UP
    flat = [[loss for losses in some for loss in losses] for some in (given, kept)]
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(*flat, strict=True))
    assert len({float(losses[0]) for losses in kept}) == 10
    places = {loss.untyped_storage().data_ptr() for losses in given[WARM_UP:] for loss in losses}
    assert len(places) == 10 - WARM_UP, "one copy for the losses of each step"
    assert [int(rows[0]) for rows in asked] == list(range(10)), "nor does a recording write into what it was given"


def test_a_recording_reads_its_own_copy_of_the_rows(trainer, make_model, split):
    """What the caller does to its tensor afterwards is its own affair, as it is without a recording."""

    def losses_of(reused: bool) -> list[list[float]]:
        model = make_model()
        optimizer = build_optimizer(model.parameters(), LR, trainer())
        make_capturable(optimizer)
        captured, model = CapturedSteps(Tape(model, optimizer), [BATCH]), model.train()
        own, found = torch.empty(BATCH, dtype=torch.int64), []
        for start in range(8):
            rows = own.copy_(torch.arange(start, start + BATCH)) if reused else torch.arange(start, start + BATCH)
            found.append(captured.take(step_of(model, optimizer), split, rows))
            own.fill_(0)
        return [[float(loss) for loss in losses] for losses in found]

    assert losses_of(reused=True) == losses_of(reused=False)


class StoppedError(Exception):
    """Ends a training in the middle."""


@pytest.mark.parametrize("records_then", [True, False], ids=["recorded again", "as they come"])
@pytest.mark.parametrize("steps", [2, 4, 7, 11])
def test_stopped_after_any_step_a_recorded_training_goes_on_to_the_same_last_bit(
    trainer, make_model, split, tmp_path, steps, records_then
):
    """Dropout too: random numbers go on as if nothing had been recorded. What is kept goes through a file."""
    settings = trainer(schedule="cosine", warmup_epochs=1)

    def run(records: bool, stop_after: int | None, kept: dict[str, Any] | None) -> Any:
        model = make_model(dropout=0.4)
        optimizer = build_optimizer(model.heads.parameters(), LR, settings, model.backbone.parameters())
        make_capturable(optimizer)  # of both, so that both round the rate to float32
        schedule, generator = Schedule(optimizer, settings, EPOCHS, 4), torch.Generator().manual_seed(0)
        sampler, calls = Sampler(22, BATCH, split.device), iter(range(1, 100))
        captured = CapturedSteps(Tape(model, optimizer), sampler.sizes) if records else None
        result = Fit(BestEpoch(higher_is_better=False, patience=None))
        torch.manual_seed(7)
        if kept is not None:
            model.load_state_dict(kept["model"])
            load_state(optimizer, kept["optimizer"])
            schedule.load_state(kept["schedule"])
            result = Fit.from_state(BestEpoch(False, None), kept["fit"], split.device)
            torch.set_rng_state(kept["random"])
            generator.set_state(kept["order"])

        def on_step() -> None:
            if next(calls) == stop_after:
                states = {"model": model.state_dict(), "optimizer": state_of(optimizer), "schedule": schedule.state()}
                random = {"random": torch.get_rng_state(), "order": generator.get_state()}
                torch.save({**states, **random, "fit": result.state()}, tmp_path / "state.pt")
                raise StoppedError

        def validate() -> Row:
            total, parts = criterion()(outputs_of(model, split), split.targets)
            return {"val/loss": total.item()} | {f"val/{task}/loss": part.item() for task, part in parts.items()}

        args = (split, validate, result.best, "val/loss", EPOCHS, sampler, generator)
        fit(model, criterion(), optimizer, schedule, *args, on_step=on_step, result=result, captured=captured)
        return [{k: v for k, v in row.items() if k != "seconds"} for row in result.history], model.state_dict()

    rows, state = run(True, None, None)
    with pytest.raises(StoppedError):
        run(True, steps, None)
    kept = torch.load(tmp_path / "state.pt", weights_only=True)
    again_rows, again = run(records_then, None, kept)
    assert again_rows == rows
    assert_same(again, state)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_the_state_of_an_optimiser_is_the_same_whether_steps_are_recorded_or_not(trainer, make_model, optimizer):
    model = make_model()
    settings = trainer(optimizer=optimizer, lr_backbone_factor=0.5)

    def built(capturable: bool) -> torch.optim.Optimizer:
        found = build_optimizer(model.heads.parameters(), 1e-4, settings, model.backbone.parameters())
        if capturable:
            make_capturable(found)
        return found

    def plain(state: dict[str, Any]) -> list[dict[str, Any]]:
        return list(state["param_groups"])

    assert plain(state_of(built(True))) == plain(state_of(built(False))) == plain(built(False).state_dict())
    for ours, theirs in ((True, False), (False, True)):
        first = built(ours)
        Schedule(first, settings, 1, 1)._set(3e-4)
        second = built(theirs)
        load_state(second, copy.deepcopy(state_of(first)))
        assert Schedule(second, settings, 1, 1).lr == 3e-4, "to the last digit, though a step rounds it"
        lrs = [group["lr"] for group in second.param_groups]
        assert [isinstance(lr, Tensor) for lr in lrs] == [theirs, theirs]
        assert [float(lr) for lr in lrs] == pytest.approx([3e-4, 1.5e-4], rel=1e-6)
        assert [group.get("capturable", theirs) for group in second.param_groups] == [theirs, theirs]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_rate_in_a_tensor_trains_as_one_that_is_a_number_but_for_its_rounding(train, optimizer):
    settings = {"optimizer": optimizer, "schedule": "cosine", "weight_decay": 0.1, "lr_backbone_factor": 0.5}
    rows, state, _ = train(None, capturable=True, **settings)
    expected_rows, expected, _ = train(None, capturable=False, **settings)
    assert [row["lr"] for row in rows] == [row["lr"] for row in expected_rows]
    for key, tensor in expected.items():
        torch.testing.assert_close(state[key], tensor, rtol=1e-5, atol=1e-6)


def test_the_schedule_moves_the_tensor_that_was_recorded(trainer, make_model):
    optimizer = build_optimizer(make_model().parameters(), LR, trainer())
    make_capturable(optimizer)
    tensor = optimizer.param_groups[0]["lr"]
    schedule = Schedule(optimizer, trainer(schedule="cosine"), 2, 1)
    schedule.before_epoch(2)
    assert optimizer.param_groups[0]["lr"] is tensor
    assert float(tensor) == pytest.approx(LR / 2)
    assert schedule.lr == LR / 2


def test_why_steps_are_not_recorded(make_model, split):
    model, two = make_model(), type("Two", (), {"size": 2})()
    lengths = TensorSplit(torch.zeros(3, 2, 5), {}, torch.tensor([5, 2, 3]))
    assert why_not_captured(model, split, None, ALONE, False) is None
    assert "several devices" in str(why_not_captured(model, split, None, two, False))
    assert "weighting" in str(why_not_captured(model, split, Balance.__new__(Balance), ALONE, False))
    assert "unequal lengths" in str(why_not_captured(model, lengths, None, ALONE, False))
    assert "trainer.conflict" in str(why_not_captured(model, split, None, ALONE, True))
    model.backbone.capturable = False
    assert "capturable" in str(why_not_captured(model, split, None, ALONE, False))
