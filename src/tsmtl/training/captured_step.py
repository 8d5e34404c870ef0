"""Training steps as a CUDA graph: recorded once, then done again with one launch instead of one per operation.

A small model's step is some hundred short kernels, which the host may need longer to launch than the GPU to run. A
graph does the same kernels on the same memory: what changes from step to step is copied into buffers before it, and
what is to be kept is copied out of one behind it.

Nothing is done for the recording alone. Its first steps, which load kernels and make the optimiser's state, are the
training's own, and recording does not compute; so weights, batch norms and random numbers go the way that they go
without it. A graph takes dropout from the generator of the device where that stands, and moves it on as the step
itself would: its state, kept after any step, says all that another process needs to go on.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from tsmtl.config.errors import first_line
from tsmtl.models.convolution_gpu import recorded_steps
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training.balance import Balance
from tsmtl.training.batches import Batch, Split
from tsmtl.training.ranks import Ranks
from tsmtl.training.step import Step

log = logging.getLogger(__name__)
WARM_UP = 3  # steps before a recording, as PyTorch advises: libraries choose and load their kernels in the first ones
_ROWS, _X = "rows of the batch", "input of the batch"  # beside the names of tasks, which have no blanks
T = TypeVar("T")


class Recorder(Protocol):
    """Records work on a device."""

    def aside(self, work: Callable[[], T]) -> T:
        """Do work where it can be recorded later."""

    def record(self, work: Callable[[], object]) -> Callable[[], object]:
        """Record work without doing it; give what does it, as often as it is called.

        Raises:
            RuntimeError: If it cannot be recorded.
        """


class CudaGraphs:
    """Records as CUDA graphs (https://docs.pytorch.org/docs/stable/notes/cuda.html, "CUDA Graphs").

    Args:
        device: Where the work is.
    """

    def __init__(self, device: torch.device) -> None:
        self.device, self._stream = device, torch.cuda.Stream(device)

    def aside(self, work: Callable[[], T]) -> T:
        """Do work on the stream of the recordings; the main one goes on behind it."""
        main = torch.cuda.current_stream(self.device)
        self._stream.wait_stream(main)
        with torch.cuda.stream(self._stream):
            found = work()
        main.wait_stream(self._stream)
        return found

    def record(self, work: Callable[[], object]) -> Callable[[], object]:
        """Record work. A thread that reads batches ahead goes on meanwhile, with memory and a stream of its own."""
        graph, main = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self.device)
        pool = torch.cuda.graph_pool_handle()
        try:
            with torch.cuda.graph(graph, pool=pool, stream=self._stream, capture_error_mode="thread_local"):
                work()
        except RuntimeError:
            torch.cuda.set_stream(main)  # where a recording fails, PyTorch leaves its stream in force,
            index = torch.cuda.current_device() if self.device.index is None else self.device.index
            numbers = torch.cuda.default_generators[index]
            numbers.graphsafe_set_state(numbers.clone_state())  # and the random numbers as if it went on,
            graph.reset()
            _leave_pool(index, pool)  # and up to 2.12 the memory
            raise
        return graph.replay


def _leave_pool(index: int, pool: Any) -> None:
    """Let memory be had and given back as if nothing had been recorded (github.com/pytorch/pytorch, 180395).

    As long as PyTorch takes a recording to go on, it keeps what several streams have used, such as batches that are
    copied ahead, and gives back nothing of what it holds where memory runs out.
    """
    for name in ("_cuda_endAllocateCurrentStreamToPool", "_cuda_endAllocateToPool"):  # until 2.7, and since 2.8
        if (leave := getattr(torch._C, name, None)) is not None:
            with suppress(RuntimeError):  # it has ended
                leave(index, pool)


class CapturedSteps:
    """Takes the steps of a training, those on batches of the most frequent size by a recording.

    Batches of another size, such as an epoch's last, are taken as they come. When a frozen backbone begins to learn,
    the step is another one and recorded anew.

    Args:
        recorder: Records the step.
        sizes: Instances of an epoch's batches.

    Attributes:
        replayed: Steps so far that a recording has done.
    """

    def __init__(self, recorder: Recorder, sizes: Sequence[int]) -> None:
        self.replayed = 0
        self._recorder, self._size = recorder, Counter(sizes).most_common(1)[0][0]
        self._recording: _Recording | None = None
        self._step: Step | None = None
        self._learning: list[bool] = []
        self._warm, self._fails = 0, False

    def take(self, step: Step, train: Split, rows: Tensor) -> list[Tensor]:
        """Take a step on some instances; give its losses, see :class:`Step`.

        Args:
            step: One for each epoch, of the same parts in all.
            train: The train split; the same in all steps.
            rows: An index tensor on the device.
        """
        if self._fails or len(rows) != self._size:
            return step(*train.batch(rows))
        if step is not self._step:  # an epoch, before which a backbone may have begun to learn
            self._step, learning = step, [parameter.requires_grad for parameter in step.model.parameters()]
            if learning != self._learning:
                self._learning, self._recording, self._warm = learning, None, 0
        if self._recording is None and self._warm < WARM_UP:
            self._warm += 1
            batch = train.batch(rows)
            with recorded_steps():
                return self._recorder.aside(lambda: step(*batch))
        inputs = _inputs(train, rows)
        if self._recording is None:
            try:
                with recorded_steps():
                    self._recording = _Recording(self._recorder, step, train, inputs)
            except RuntimeError as error:
                self._fails = True
                log.warning(
                    "trainer.cuda_graph: this step cannot be recorded (%s), so that every operation is launched by "
                    "itself; trainer.cuda_graph=off does so from the start",
                    first_line(error),
                )
        if self._recording is None:  # behind the error, which keeps what was computed on the stream of the recordings
            return step(*_batch(train, inputs))
        self.replayed += 1
        return self._recording(inputs)


class _Recording:
    """A step on buffers of its own.

    Args:
        recorder: Records it.
        step: The step.
        train: The train split.
        inputs: What a step is taken on, see :func:`_inputs`; only the shapes count.
    """

    def __init__(self, recorder: Recorder, step: Step, train: Split, inputs: dict[str, Tensor]) -> None:
        self._buffers = {name: tensor.clone() for name, tensor in inputs.items()}
        self._losses = torch.zeros(1 + len(step.criterion.losses), device=train.device)
        self._replay = recorder.record(lambda: torch.stack(step(*_batch(train, self._buffers)), out=self._losses))

    def __call__(self, inputs: dict[str, Tensor]) -> list[Tensor]:
        """Take the step; give its losses, which later ones leave alone."""
        for name, buffer in self._buffers.items():
            buffer.copy_(inputs[name])
        self._replay()
        return list(self._losses.clone().unbind())


def _inputs(train: Split, rows: Tensor) -> dict[str, Tensor]:
    """Give what a recording takes of a batch: the rows, which it reads itself, or what the host has read of them."""
    if train.resident:
        return {_ROWS: rows}
    x, _, targets = train.batch(rows)
    return {_X: x, **targets}


def _batch(train: Split, inputs: dict[str, Tensor]) -> Batch:
    """Make the batch that :func:`_inputs` took."""
    if train.resident:
        return train.batch(inputs[_ROWS])
    return inputs[_X], None, {name: tensor for name, tensor in inputs.items() if name != _X}


def why_not_captured(
    model: MultiTaskModel, train: Split, balance: Balance | None, ranks: Ranks, looks_between: bool
) -> str | None:
    """Say why the steps of a training are not to be recorded; None where they may be.

    Args:
        model: The model.
        train: The train split.
        balance: What weighs the tasks.
        ranks: The processes that share each batch.
        looks_between: Whether random numbers are put back between epochs, as the comparison of gradients does: dropout
            within a cuDNN layer has a state that is then made anew, and a recording would go on with the old one.
    """
    if ranks.size > 1:
        return "several devices exchange outputs and gradients within each step"
    if balance is not None:
        return "the weighting keeps what it learns outside of the step; weighting=fixed does not"
    if not train.equal_lengths:
        return "the series have unequal lengths, and every batch the length of its longest"
    if not model.backbone.capturable:
        return "the backbone does not say that its steps can be recorded (capturable)"
    if looks_between:
        return "trainer.conflict puts random numbers back between epochs"
    return None
