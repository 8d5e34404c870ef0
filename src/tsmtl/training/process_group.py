"""Several processes that train one model, each on its share of every batch, by torch.distributed.

Every rank draws the same batches, runs the model on its rows, gets the outputs of all rows - they are small - and
computes the loss of the whole batch. So any loss is that of a single process, whatever it does across the instances of
a batch; the gradients of the weights, each of a share, are then summed. PyTorch's DistributedDataParallel would average
them in hooks of the backward pass, which knows its parameters beforehand: a backbone that is unfrozen later, or a task
of weight 0, would need another one, and so would a method that weighs the gradients of tasks. Its gain, sending while
the backward pass goes on, begins at models of some 25 MB, its first bucket.
"""

import logging
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tsmtl.config.errors import UserError, first_line
from tsmtl.models.multitask import MultiTaskModel
from tsmtl.training.augmentation import Augmentation
from tsmtl.training.batches import Split
from tsmtl.training.ranks import RankLostError, Ranks, T
from tsmtl.training.seeding import numbers_of_rank, random_numbers, set_random_numbers
from tsmtl.training.shares import SharedAugmentation, SharedSplit
from tsmtl.training.synced_norm import sync_norms

log = logging.getLogger(__name__)
PATIENCE = timedelta(days=7)  # a rank may wait for another job's pretraining; one that has ended is noticed at once


class ProcessGroup(Ranks):
    """One of several ranks; see :class:`tsmtl.training.ranks.Ranks`. Made by :func:`joined`.

    What is large and on the device goes by NCCL where that is CUDA; all else by gloo, which does not wait for it.

    Args:
        rank: Number of this process.
        size: How many there are.
        local_rank: Its number among those of this machine, and of its CUDA device.
        control: Its group of PyTorch's, by gloo.

    Attributes:
        shared: The exception that all ranks raised last, which one of them needs to tell.
    """

    def __init__(self, rank: int, size: int, local_rank: int, control: dist.ProcessGroup) -> None:
        self.rank, self.size, self.local_rank = rank, size, local_rank
        self.shared: Exception | None = None
        self._control = self._tensors = control
        self._on_cuda = False
        self._rows = 0  # of the batch under way
        self._own: dict[str, Any] = {}
        self._aside: dict[str, Any] = {}
        self._asked: tuple[Tensor, Any] | None = None

    def use(self, device: torch.device) -> torch.device:
        """Give the device of this rank among those of a kind.

        Raises:
            UserError: If there are not enough of them, or the ranks have not the same kind.
        """
        kinds: list[str] = self._gathered(device.type)
        if len(set(kinds)) > 1:
            said = ", ".join(f"rank {rank} {kind}" for rank, kind in enumerate(kinds))
            raise self._all_raise(UserError(f"device: the ranks have not the same ({said}); device=cpu is everywhere"))
        if device.type != "cuda":
            return device
        there = torch.cuda.device_count()

        def check() -> None:
            if self.local_rank >= there:
                raise UserError(
                    f"devices: rank {self.rank} needs a CUDA device of its own, and there are {there}; take "
                    f"devices={there}, or device=cpu"
                )

        self.together(check)
        device = torch.device("cuda", self.local_rank)
        torch.cuda.set_device(device)
        if not self._on_cuda:  # a pretraining has made it
            self._tensors, self._on_cuda = dist.new_group(backend="nccl", device_id=device), True
        return device

    def spread(
        self, model: MultiTaskModel, train: Split, augmentation: Augmentation | None, seed: int
    ) -> tuple[Split, Augmentation | None]:
        """Let the ranks share the work on each batch."""
        sync_norms(model, self)
        self._own = numbers_of_rank(seed, self.rank)
        model.register_forward_pre_hook(self._before_forward)
        model.register_forward_hook(self._after_forward)
        if augmentation is not None:
            return train, SharedAugmentation(augmentation, self)
        return SharedSplit(train, self), None

    def random_numbers(self) -> dict[str, Any]:
        """Give the state of all random numbers that this rank draws: of those alike on all ranks, and of its own."""
        return {**random_numbers(), "own": self._own}

    def set_random_numbers(self, state: dict[str, Any]) -> None:
        """Put back what :meth:`random_numbers` gave."""
        set_random_numbers(state)
        self._own = state["own"]

    def _before_forward(self, model: nn.Module, inputs: Any) -> None:
        """Draw dropout from random numbers of the rank's own: those of all would give each share the same pattern."""
        if model.training:
            self._aside = random_numbers()
            set_random_numbers(self._own)

    def _after_forward(self, model: nn.Module, inputs: Any, outputs: dict[str, Tensor]) -> dict[str, Tensor] | None:
        if not model.training:
            return None
        self._own = random_numbers()
        set_random_numbers(self._aside)
        return self.whole(outputs, self._rows)

    def begin(self, n: int) -> slice:
        """Take ``n`` rows as the batch under way; give those of this rank."""
        self._rows = n
        return self.share(n)

    @property
    def has_rows(self) -> bool:
        """Whether this rank has rows of the batch under way, and not a borrowed one that counts nowhere."""
        return self._count(self._rows, self.rank) > 0

    def _count(self, n: int, rank: int) -> int:
        return n // self.size + (rank < n % self.size)

    def share(self, n: int) -> slice:
        """Give this rank's rows, one after another; the first of all where there is none for it."""
        start = self.rank * (n // self.size) + min(self.rank, n % self.size)
        count = self._count(n, self.rank)
        return slice(start, start + count) if count else slice(0, 1)

    def whole(self, parts: dict[str, Tensor], n: int) -> dict[str, Tensor]:
        """Put what all ranks made of their shares in order; a borrowed row is left out."""
        counts = [self._count(n, rank) for rank in range(self.size)]
        own = torch.cat(list(parts.values()), dim=1)[: counts[self.rank]]
        sent = own.new_zeros((max(counts), own.shape[1]))
        sent[: len(own)] = own.detach()
        received = [torch.empty_like(sent) for _ in counts]
        with _others_there():
            dist.all_gather(received, sent, group=self._tensors)
        rows = [part[:count] for part, count in zip(received, counts, strict=True)]
        rows[self.rank] = own  # with its history: the gradient flows back into it alone
        columns = torch.cat(rows).split([part.shape[1] for part in parts.values()], dim=1)
        return {name: column.contiguous() for name, column in zip(parts, columns, strict=True)}

    def summed(self, values: Tensor) -> Tensor:
        """Give the sum of the ranks' values, which has no history."""
        total = values.detach().clone(memory_format=torch.contiguous_format)
        with _others_there():
            dist.all_reduce(total, group=self._tensors)
        return total

    def sum_gradients(self, model: nn.Module) -> None:
        """Sum the gradients of all shares, in one message."""
        learning = [parameter for parameter in model.parameters() if parameter.grad is not None]
        gradients = [parameter.grad for parameter in learning if parameter.grad is not None]
        if not gradients:
            return
        whole = self.summed(torch.cat([gradient.reshape(-1) for gradient in gradients]))
        for parameter, part in zip(learning, whole.split([gradient.numel() for gradient in gradients]), strict=True):
            parameter.grad = part.view_as(parameter)

    def agreed(self, signum: int | None, due: bool) -> tuple[int | None, bool]:
        """Exchange what is asked for; the answer is that of the step before, so that nobody waits for it."""
        answer: tuple[int | None, bool] = (None, False)
        if self._asked is not None:
            flags, arrival = self._asked
            with _others_there():
                arrival.wait()
            interrupted, terminated, time = flags.tolist()
            answer = (signal.SIGTERM if terminated else signal.SIGINT if interrupted else None, bool(time))
        asked = [signum == signal.SIGINT, signum == signal.SIGTERM, due and not answer[1]]
        flags = torch.tensor(asked, dtype=torch.int32)
        with _others_there():
            self._asked = (flags, dist.all_reduce(flags, dist.ReduceOp.MAX, self._control, async_op=True))
        return answer

    def from_first(self, work: Callable[[], T]) -> T:
        """Let rank 0 do something; all ranks get its result, or raise what it raised."""
        said: list[Any] = [None, None]
        raised: Exception | None = None
        if self.first:
            try:
                said[0] = work()
            except Exception as error:
                raised, said[1] = error, _sendable(error)
        with _others_there():
            dist.broadcast_object_list(said, src=0, group=self._control)
        if said[1] is not None:
            raise self._all_raise(raised or said[1])
        result: T = said[0]
        return result

    def together(self, work: Callable[[], T]) -> T:
        """Let every rank do something; where one fails, all raise what the first of those raised."""
        raised: Exception | None = None
        try:
            result = work()
        except Exception as error:
            raised = error
        failures = self._gathered(None if raised is None else _sendable(raised))
        for rank, failure in enumerate(failures):
            if failure is not None:
                raise self._all_raise(raised if raised is not None and rank == self.rank else failure)
        return result

    def check_alike(self, value: str, problem: str) -> None:
        """Check that every rank has the same value.

        Raises:
            UserError: If not.
        """
        values = self._gathered(value)
        for rank, other in enumerate(values):
            if other != values[0]:
                raise self._all_raise(UserError(problem.format(rank=rank)))

    def own_random(self) -> list[dict[str, Any]]:
        """Give the state of each rank's own random numbers."""
        return self._gathered(self._own)

    def set_own_random(self, states: list[dict[str, Any]]) -> None:
        """Put back what :meth:`own_random` gave."""
        self._own = states[self.rank]

    def close(self) -> None:
        """End what was begun for the device; for after the training, when no rank waits for another."""
        if self._on_cuda:
            dist.destroy_process_group(self._tensors)

    def _gathered(self, value: Any) -> list[Any]:
        """Give the values of all ranks."""
        values: list[Any] = [None] * self.size
        with _others_there():
            dist.all_gather_object(values, value, group=self._control)
        return values

    def _all_raise(self, error: Exception) -> Exception:
        self.shared = error
        return error


@contextmanager
def joined(where: str, rank: int, size: int, local_rank: int) -> Iterator[ProcessGroup]:
    """Meet the other ranks, and leave them at the end.

    Args:
        where: Where to meet: ``env://``, or ``file://`` and a path.
        rank: Number of this process.
        size: How many there are.
        local_rank: Its number among those of this machine.
    """
    with _others_there():
        if not dist.is_initialized():  # stays for later trainings: a store knows the addresses of one meeting only
            dist.init_process_group("gloo", init_method=where, rank=rank, world_size=size, timeout=PATIENCE)
        control = dist.new_group(backend="gloo", timeout=PATIENCE)
    group = ProcessGroup(rank, size, local_rank, control)
    try:
        yield group
        group.close()
    finally:
        dist.destroy_process_group(control)  # which the others notice, should they wait for this rank


@contextmanager
def _others_there() -> Iterator[None]:
    """Say that another rank is gone, where talking to it fails; a device that is full is no reason of another's."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        said = f"another rank has ended, and its own output says why, or it cannot be reached ({first_line(error)})"
        raise RankLostError(said) from error


def _sendable(error: Exception) -> Exception:
    """Give an exception that another process can have: itself, or what it says."""
    try:
        ForkingPickler.loads(ForkingPickler.dumps(error))
    except Exception:  # an exception of a plugin may refuse it in any way
        return RuntimeError(f"{type(error).__name__}: {first_line(error)}")
    return error
