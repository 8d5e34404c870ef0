"""The same small search for every variant: learning rate and epochs, judged on val."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tsmtl.comparison.variants import Variant
from tsmtl.config.compare_settings import CompareSettings, epochs_are_searched
from tsmtl.config.errors import UserError
from tsmtl.config.schema import Settings
from tsmtl.sweep.job import Job

RUNS = "runs"  # the folder of all runs
AT_THE_END = 0.95  # a best epoch so late says that more may have been better


@dataclass(frozen=True)
class Candidate:
    """Settings that the search may choose.

    Attributes:
        lr: Learning rate.
        num_epochs: Most epochs.
        far: How far they are from those of the training: the distance of the factors from 1, in logarithms.
    """

    lr: float
    num_epochs: int
    far: float


@dataclass(frozen=True)
class Tried:
    """What came of a candidate.

    Attributes:
        candidate: What was tried.
        summary: What its run reported; None where it failed.
    """

    candidate: Candidate
    summary: Mapping[str, Any] | None

    @property
    def score(self) -> float:
        """The joint score on val; minus infinity where there is none."""
        score = None if self.summary is None else self.summary["best"]["score"]
        return -math.inf if score is None or math.isnan(score) else float(score)


def candidates(own: CompareSettings, training: Settings) -> list[Candidate]:
    """Give what the search of every variant tries."""
    epochs = own.epoch_factors if epochs_are_searched(training.trainer) else [max(own.epoch_factors)]
    found = {}
    for factor in own.lr_factors:
        for longer in epochs:
            lr = float(f"{training.model.lr * factor:.6g}")
            num_epochs = max(1, round(training.model.num_epochs * longer))
            found[lr, num_epochs] = Candidate(lr, num_epochs, abs(math.log(factor)) + abs(math.log(longer)))
    return list(found.values())


@dataclass(frozen=True)
class Choice:
    """What a search chose.

    Attributes:
        candidate: Learning rate and epochs.
        warnings: Signs that others, which were not tried, would have been better; without the variant's name.
    """

    candidate: Candidate
    warnings: list[str]


def chosen(variant: Variant, tried: Sequence[Tried]) -> Choice | None:
    """Give the candidate with the best score, of equal ones that nearest to the training's own; None if all failed."""
    best = max(tried, key=lambda one: (one.score, -one.candidate.far))
    if best.summary is None or best.score == -math.inf:
        return None
    warnings = []
    lrs = sorted({one.candidate.lr for one in tried})
    if len(lrs) > 1 and best.candidate.lr in (lrs[0], lrs[-1]):
        way = "smallest" if best.candidate.lr == lrs[0] else "greatest"
        warnings.append(f"the {way} lr that was tried is its best; widen compare.lr_factors")
    longest = max(one.candidate.num_epochs for one in tried)
    epoch = best.summary["best"]["epoch"]
    chosen_by_score = variant.flat["trainer"]["keep"] == "best"  # else the last epoch is always taken
    if chosen_by_score and best.candidate.num_epochs == longest and epoch >= AT_THE_END * longest:
        warnings.append(f"still got better in epoch {epoch} of {longest}; raise compare.epoch_factors or num_epochs")
    return Choice(best.candidate, warnings)


def unfit_settings(variants: Sequence[Variant], tried: Sequence[Candidate], training: Settings) -> list[str]:
    """Say what is wrong with the settings of the runs that the searches will ask for; a line for each, once."""
    said: dict[str, dict[str, None]] = {}  # the variants of each line
    for variant, candidate in product(variants, tried):
        start = Path("model.pt") if variant.start else None
        try:
            job_of(variant, candidate, training.run.seed, start, training).settings()
        except UserError as error:
            for line in error.lines:
                said.setdefault(_of_factor(line, candidate, training), {})[variant.name] = None
    return [line if len(names) == len(variants) else f"{', '.join(names)}: {line}" for line, names in said.items()]


def _of_factor(line: str, candidate: Candidate, training: Settings) -> str:
    """Say of a learning rate that is refused by which factor it came about."""
    key, _, rest = line.partition(": ")
    lr = training.model.lr
    return f"compare.lr_factors: {candidate.lr / lr:g} times lr={lr:g} {rest}" if key == "lr" else line


def job_of(variant: Variant, candidate: Candidate, seed: int, start: Path | None, training: Settings) -> Job:
    """Give the job of a variant, without a folder.

    Args:
        variant: What is trained.
        candidate: Learning rate and epochs.
        seed: The run's seed.
        start: The checkpoint that it is fine-tuned from, where it is.
        training: The training that the variants are made of.
    """
    own = {"lr": candidate.lr, "num_epochs": candidate.num_epochs, "seed": seed}
    flat = {**variant.flat, **own, "pretrained_path": None if start is None else str(start)}
    if flat["data"]["label_share"] or flat["data"]["shuffled_labels"]:  # which labels these are is chance as well
        flat["data"] = flat["data"] | {"label_seed": flat["data"]["label_seed"] + seed}
    swept = {"variant": variant.name, "lr": f"{candidate.lr:g}", "num_epochs": str(candidate.num_epochs)}
    swept |= {} if start is None else {"pretrained_path": str(start)}  # two starts are two jobs
    chosen = {"task": flat["task"], "model": flat["model"], "weighting": flat["weighting"]["name"]}
    choices = {k: chosen.get(k, v) for k, v in training.choices.items()}
    typed = training.typed & {"device"}  # all else is checked as it was composed
    label = f"{variant.name} lr={candidate.lr:g} num_epochs={candidate.num_epochs} seed={seed}"
    subdir = f"{RUNS}/{label.replace(' ', '_')}-{{hash}}"
    return Job({**swept, "seed": str(seed)}, flat, typed, choices, subdir, label=label)
