"""Batches read by a thread while steps are taken on those before, and copied to a GPU through pinned memory."""

import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")
PATIENCE = 0.1  # seconds after which the thread looks whether anybody still waits for what it has


class ReadAhead(Generic[T]):
    """What an iterator gives, made by a thread one ahead of who takes it; the thread ends with the ``with`` block.

    Args:
        things: The iterator; the thread alone runs it.
    """

    def __init__(self, things: Iterator[T]) -> None:
        self._things = things
        self._made: queue.Queue[tuple[T | None, Exception | None]] = queue.Queue(maxsize=1)
        self._left = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tsmtl read ahead", daemon=True)

    def __enter__(self) -> "ReadAhead[T]":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._left.set()
        with suppress(queue.Empty):  # makes room for what it may be waiting with
            self._made.get_nowait()
        self._thread.join()

    def next(self) -> T:
        """Wait for the next thing.

        Raises:
            Exception: What the iterator raised instead.
        """
        thing, error = self._made.get()
        if error is not None:
            raise error
        return thing  # type: ignore[return-value]  # without an error there is a thing

    def _run(self) -> None:
        try:
            for thing in self._things:
                if not self._handed_over(thing, None):
                    return
            self._handed_over(None, IndexError("more was asked for than was to be read"))
        except Exception as error:  # whoever waits raises it
            self._handed_over(None, error)

    def _handed_over(self, thing: T | None, error: Exception | None) -> bool:
        """Wait for room; give whether there was any before the block was left."""
        while not self._left.is_set():
            with suppress(queue.Full):
                self._made.put((thing, error), timeout=PATIENCE)
                return True
        return False


class PinnedCopies:
    """Copies tensors to a GPU by a stream of its own, while the main one computes.

    Two buffers of pinned memory take turns: the host fills one while the GPU reads the other.

    Args:
        device: The GPU.
    """

    def __init__(self, device: torch.device) -> None:
        here = torch.cuda.current_device() if device.index is None else device.index  # of this thread, not the reader
        self.device = torch.device("cuda", here)
        self._stream = torch.cuda.Stream(self.device)
        self._buffers = [torch.empty(0), torch.empty(0)]
        self._read: list[Any] = [None, None]  # when the GPU has read them: events

    def send(self, x: Tensor) -> tuple[Tensor, Any]:
        """Start a copy of a float32 tensor; give it with the event of its arrival."""
        self._buffers.reverse()
        self._read.reverse()
        if self._read[0] is not None:
            self._read[0].synchronize()
        with torch.cuda.stream(self._stream):
            if self._buffers[0].numel() < x.numel():
                self._buffers[0] = torch.empty(x.numel(), dtype=x.dtype, pin_memory=True)
            pinned = self._buffers[0][: x.numel()].view(x.shape).copy_(x)
            copy = pinned.to(self.device, non_blocking=True)
            self._read[0] = torch.cuda.Event()
            self._read[0].record(self._stream)
        return copy, self._read[0]


@dataclass(frozen=True)
class Arrival:
    """Input and lengths of a batch that is read, and may be on its way to the device.

    Attributes:
        lengths: (N,) valid steps on the CPU, or None.
        count: N.
    """

    input: Tensor
    lengths: Tensor | None
    event: Any

    @classmethod
    def on_its_way(cls, x: Tensor, lengths: Tensor | None, copies: PinnedCopies | None) -> "Arrival":
        """Take a batch that was read, and send its input to the device; without ``copies`` it is there."""
        sent, event = (x, None) if copies is None else copies.send(x)
        return cls(sent, lengths, event)

    @property
    def count(self) -> int:
        """Instances."""
        return len(self.input)

    def x(self) -> Tensor:
        """Give the input to the work that follows on the device, which waits for it; the host does not."""
        if self.event is not None:
            stream = torch.cuda.current_stream(self.input.device)
            stream.wait_event(self.event)
            self.input.record_stream(stream)  # its memory is the copying stream's
        return self.input
