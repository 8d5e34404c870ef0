"""How the tasks' gradients on the shared backbone stand to each other, measured on a fixed probe of train instances."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import combinations, product
from math import isfinite, nan, sqrt

import torch
from torch import Tensor, nn

from tsmtl.models.multitask import MultiTaskModel
from tsmtl.tasks.losses import Criterion, labelled_rows
from tsmtl.training.batches import Split
from tsmtl.training.probe import plan, probe_rows
from tsmtl.training.seeding import random_numbers, set_random_numbers
from tsmtl.weighting.method import gram_matrix

WHOLE = ""  # name of all blocks together
MOST_BLOCKS = 8  # more of them are joined, neighbour to neighbour
AHEAD = 0.01  # share of its own loss that a look ahead is to gain, by the gradient alone


def blocks_of(backbone: nn.Module) -> dict[str, list[str]]:
    """Divide the parameters of a backbone into blocks: its children; of a single child, that one's children or layers.

    Returns:
        Names of the parameters by name of the block.
    """
    names = [name for name, _ in backbone.named_parameters()]
    blocks: dict[str, list[str]] = {}
    deep = len({name.partition(".")[0] for name in names}) == 1
    for name in names:
        blocks.setdefault(_block_of(name, deep), []).append(name)
    size = -(-len(blocks) // MOST_BLOCKS)
    if size <= 1:
        return blocks
    found = list(blocks)
    groups = [found[at : at + size] for at in range(0, len(found), size)]
    return {f"{group[0]} to {group[-1]}": [name for block in group for name in blocks[block]] for group in groups}


def _block_of(name: str, deep: bool) -> str:
    child, _, rest = name.partition(".")
    if not deep:
        return child
    inner, _, further = rest.partition(".")
    if further:
        return f"{child}.{inner}"
    layer = re.search(r"_(l\d+)(_reverse)?$", inner)  # how nn.LSTM and nn.GRU name the weights of a layer
    return f"{child}.{layer[1]}" if layer else child


class Conflict:
    """Compares the tasks' gradients on the backbone after an epoch, and looks one step of each task ahead.

    It only looks: the model is in eval mode meanwhile, so that no batch norm counts the probe and no dropout is drawn,
    and weights, gradients, modes and random numbers are then what they were, to the last bit. Values of different
    epochs differ by the weights alone.

    A block of the backbone, or the whole of it, has of each pair of tasks the cosine between their gradients and the
    ratio of the gradients' norms, the first task's over the second's. The gradients are the means over the batches of
    the probe, each of the loss as it is before weights. ``conflicting`` is the share of these batches, which are as
    large as those of training, in which the cosine over the whole backbone is below 0. The share of a task in the
    update is ``w_i |g_i|`` over the sum of these: with two tasks the effective alpha.

    The affinity of task i for task j is ``1 - L_j(theta - step_i g_i) / L_j(theta)``, the share of its loss that j
    gains by a step for i alone on the backbone, heads as they are (Fifty et al. 2021, arXiv:2109.04617). The step is so
    long that i itself would gain :data:`AHEAD` by it if its loss were linear, ``AHEAD L_i / |g_i|^2``. The paper takes
    the learning rate; but that is one of plain gradient descent, which Adam's is not, and then no two tasks compare.

    Args:
        model: What is trained.
        criterion: Loss of all tasks.
        train: The train split, not augmented; the probe is read from it once.
        batch_size: Instances of a training step.
        steps: Training steps of an epoch.
        epochs: The epochs in which the backbone learns.
        seed: Of the choice of the probe.

    Attributes:
        tasks: Names of the tasks.
        blocks: Names of the blocks; none where the backbone has only one.
        plan: Size of the probe and when it is looked at.
        instances: Instances in it.
    """

    def __init__(
        self,
        model: MultiTaskModel,
        criterion: Criterion,
        train: Split,
        batch_size: int,
        steps: int,
        epochs: range,
        seed: int,
    ) -> None:
        self.model, self.criterion = model, criterion
        self.tasks = list(criterion.losses)
        self.plan = plan(steps, epochs, batch_size, len(self.tasks))
        labelled = [labelled_rows(target) for target in train.targets.values()]
        rows = probe_rows(labelled, self.plan.batches * batch_size, seed)
        self.instances = len(rows)
        self._batches = [train.batch(part.to(train.device)) for part in rows.split(batch_size)]
        blocks = blocks_of(model.backbone)
        self._blocks = {WHOLE: [name for names in blocks.values() for name in names]}
        self._blocks |= blocks if len(blocks) > 1 else {}
        self.blocks = [name for name in self._blocks if name != WHOLE]

    def after_epoch(self, epoch: int, weights: Mapping[str, float]) -> dict[str, float]:
        """Give what the epoch's row says of the conflict; nothing but NaN where the probe is not looked at.

        Args:
            epoch: Counted from 1.
            weights: Weights of the tasks in force.
        """
        if epoch not in self.plan.epochs:
            return dict.fromkeys(self.columns(), nan)
        with _undisturbed(self.model):
            return self._measured(weights)

    def columns(self) -> list[str]:
        """Name what is measured, in order."""
        pairs = list(combinations(self.tasks, 2))
        found = [column(*pair, what) for pair in pairs for what in ("cosine", "norm_ratio", "conflicting")]
        found += [share_column(task) for task in self.tasks]
        found += [affinity_column(*pair) for pair in product(self.tasks, repeat=2)]
        return found + [
            column(*pair, what, block) for pair in pairs for block in self.blocks for what in ("cosine", "norm_ratio")
        ]

    def _measured(self, weights: Mapping[str, float]) -> dict[str, float]:
        learning = {name: p for name, p in self.model.backbone.named_parameters() if p.requires_grad}
        shared = list(learning.values())
        gradients, grams, losses = self._gradients(shared)
        own = dict(zip(learning, (gram_matrix(g.flatten(1)).cpu() for g in gradients), strict=True))  # (K, K) each
        nothing = torch.zeros_like(grams[0])
        blocks = {block: sum((own.get(n, nothing) for n in names), nothing) for block, names in self._blocks.items()}
        norms = blocks[WHOLE].diagonal().sqrt()
        pulls = {task: _or_0(weights[task]) * norm for task, norm in zip(self.tasks, norms.tolist(), strict=True)}
        found = {share_column(task): _ratio(pull, sum(pulls.values())) for task, pull in pulls.items()}
        for (i, one), (j, other) in combinations(enumerate(self.tasks), 2):
            for block, gram in blocks.items():
                first, second, product_ = gram[i, i].item(), gram[j, j].item(), gram[i, j].item()
                found[column(one, other, "cosine", block)] = _ratio(product_, sqrt(first * second))
                found[column(one, other, "norm_ratio", block)] = sqrt(_ratio(first, second))
            there = (grams[:, i, i] > 0) & (grams[:, j, j] > 0)
            against = (grams[:, i, j] < 0) & there
            found[column(one, other, "conflicting")] = _ratio(float(against.sum()), float(there.sum()))
        ahead = self._ahead(shared, gradients, AHEAD * losses / norms**2)
        for (i, source), (j, target) in product(enumerate(self.tasks), repeat=2):
            gain = _ratio(losses[j].item() - ahead[i, j].item(), losses[j].item())
            found[affinity_column(source, target)] = gain
        return {name: found[name] for name in self.columns()}

    def _gradients(self, shared: list[nn.Parameter]) -> tuple[list[Tensor], Tensor, Tensor]:
        """Give each task's mean gradient, (K, ...) by parameter, Gram matrices (batches, K, K), and losses (K,)."""
        sums = [parameter.new_zeros((len(self.tasks), *parameter.shape)) for parameter in shared]
        grams, losses = [], []
        for batch in self._batches:
            own = self._losses(batch)
            losses.append(own.detach())
            found = [
                torch.autograd.grad(loss, shared, retain_graph=i + 1 < len(own), materialize_grads=True)
                for i, loss in enumerate(own)
            ]
            by_parameter = [torch.stack(parts) for parts in zip(*found, strict=True)]
            grams.append(torch.stack([gram_matrix(g.flatten(1)) for g in by_parameter]).sum(dim=0))
            for total, part in zip(sums, by_parameter, strict=True):
                total += part
        counted = self._counted(losses)
        means = [total / counted.view(-1, *(1,) * (total.ndim - 1)) for total in sums]
        return means, torch.stack(grams).cpu(), (torch.stack(losses).sum(dim=0) / counted).cpu()

    @torch.no_grad()
    def _ahead(self, shared: list[nn.Parameter], gradients: list[Tensor], steps: Tensor) -> Tensor:
        """Give the losses after a step for each task: (K, K), a row by the task of the step."""
        before = [parameter.clone() for parameter in shared]
        found = []
        try:
            for i, step in enumerate(steps.tolist()):
                for parameter, start, gradient in zip(shared, before, gradients, strict=True):
                    parameter.copy_(start - step * gradient[i])
                losses = [self._losses(batch) for batch in self._batches]
                found.append(torch.stack(losses).sum(dim=0) / self._counted(losses))
        finally:
            for parameter, start in zip(shared, before, strict=True):
                parameter.copy_(start)
        return torch.stack(found).cpu()

    def _losses(self, batch: tuple[Tensor, Tensor | None, dict[str, Tensor]]) -> Tensor:
        x, lengths, targets = batch
        _, parts = self.criterion(self.model(x, lengths), targets)
        return torch.stack([parts[task] for task in self.tasks])  # (K,)

    @staticmethod
    def _counted(losses: list[Tensor]) -> Tensor:
        """Count the batches that have labels of each task: without any its loss is 0."""
        return (torch.stack(losses) != 0).sum(dim=0).clamp(min=1)


def column(one: str, other: str, what: str, block: str = WHOLE) -> str:
    """Name a column of a pair of tasks, over the whole backbone or a block of it."""
    return "/".join(["conflict", f"{one}-{other}", *([block] if block else []), what])


def share_column(task: str) -> str:
    """Name the column of a task's share in the update."""
    return f"conflict/share/{task}"


def affinity_column(source: str, target: str) -> str:
    """Name the column of what a step for ``source`` does to ``target``."""
    return f"conflict/{source}-to-{target}/affinity"


@contextmanager
def _undisturbed(model: MultiTaskModel) -> Iterator[None]:
    """Let the model be run and differentiated without a trace."""
    before, training = random_numbers(), model.training
    model.eval()
    try:
        with torch.backends.cudnn.flags(enabled=False):  # its recurrent layers have no backward pass in eval mode
            yield
    finally:
        model.train(training)
        set_random_numbers(before)


def _ratio(a: float, b: float) -> float:
    found = a / b if b else nan
    return found if isfinite(found) else nan


def _or_0(weight: float) -> float:
    return 0.0 if weight != weight else weight  # of a task that took part in no step
