"""A comparison as plain values, for ``comparison.json``."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from statistics import fmean
from typing import Any

from tsmtl.comparison.differences import BETTER, Compared, Difference, Differences, Figure, corrected
from tsmtl.comparison.prospects import units_of_test
from tsmtl.comparison.run_table import described
from tsmtl.comparison.stages import Run, Stages
from tsmtl.comparison.variants import Variant
from tsmtl.comparison.verdicts import by_task, verdict_of
from tsmtl.config.compare_settings import CompareSettings
from tsmtl.config.schema import Settings
from tsmtl.data.instances import Bundle
from tsmtl.sweep.dominance import non_dominated
from tsmtl.sweep.statistics import LEVEL, spread

FORMAT = 1
NAME = "comparison.json"
MAIN = ("multi", "transfer")
FRONTIER = ("multi", "alpha", "weighting")


@dataclass(frozen=True)
class Comparison:
    """What there is to record.

    Attributes:
        own: The settings under ``compare``.
        training: Those of the training.
        bundle: The data.
        variants: What was trained.
        stages: Its runs.
        command: What was typed.
        seconds: How long this process took; earlier ones may have trained most of it.
    """

    own: CompareSettings
    training: Settings
    bundle: Bundle
    variants: Sequence[Variant]
    stages: Stages
    command: str
    seconds: float

    def record(self) -> dict[str, Any]:
        """Give all figures as plain values; NaN is None."""
        stages = self.stages
        done = {
            v.name: [stages.repeated[v.name][seed] for seed in stages.seeds]
            for v in self.variants
            if stages.complete(v.name)
        }
        compared = self._compared(done)
        trained = [variant for variant in self.variants if variant.name in done]
        differences = Differences(trained, done, compared, units_of_test(self.bundle))
        families = {kind: self._family(differences, trained, kind) for kind in dict.fromkeys(v.kind for v in trained)}
        main = corrected([f for kind in MAIN for f in families.get(kind, [])])
        others = {kind: corrected(found) for kind, found in families.items() if kind not in MAIN}
        figures = [*others.pop("twin", []), *main, *(f for found in others.values() for f in found)]
        n = len(stages.seeds)
        verdicts = {t: verdict_of(t, main, compared[t], n) for t in compared}
        gains = {v.name: differences.delta_m(v) for v in trained if set(v.twins) == set(compared)}
        plain: dict[str, Any] = _plain(
            {
                "format": FORMAT,
                "command": self.command,
                "version": version("tsmtl"),
                "process_seconds": self.seconds,
                "training_seconds": sum(s["seconds"]["training"] for s in stages.summaries),
                "data": {
                    "where": self.bundle.instances.where,
                    "instances": {name: len(rows) for name, rows in self.bundle.splits.items()},
                    "notes": self.bundle.notes,
                    **self.bundle.instances.facts,
                },
                "model": self.training.model.model,
                "seeds": stages.seeds,
                "search": {
                    "lr_factors": self.own.lr_factors,
                    "epoch_factors": self.own.epoch_factors,
                    "runs": sum(map(len, stages.searched.values())),
                },
                "level": LEVEL,
                "tasks": {t: self._about(c) for t, c in compared.items()},
                "variants": [self._variant(v) for v in self.variants],
                "figures": [_figure(f, compared[f.task].metric) for f in figures],
                "delta_m": [{"variant": name, **asdict(s)} for name, s in gains.items() if s is not None],
                "frontier": self._frontier(differences, trained, compared),
                "budget": self._budget(others.get("budget", [])),
                "verdicts": by_task(verdicts),
                "failures": [{"run": name, "reason": outcome.words} for name, outcome in stages.failures],
                "runs": [described(run, stages.folder) for name in done for run in done[name]],
            }
        )
        return plain

    def _compared(self, done: Mapping[str, Sequence[Run]]) -> dict[str, Compared]:
        """Give the metric of each task that any variant was judged on."""
        found = {}
        for variant in self.variants:
            for task, name in variant.tasks.items():
                if variant.name in done and task not in found:
                    summary = done[variant.name][0].summary
                    assert summary is not None, "a complete variant's runs are done"
                    metric = str(getattr(self.training.trainer.joint_metrics, self.training.tasks[task]))
                    found[task] = Compared({**summary["tasks"][name], "name": task}, metric, BETTER[metric])
        return {task: found[task] for task in self.training.tasks if task in found}

    def _family(self, differences: Differences, trained: Sequence[Variant], kind: str) -> list[Figure]:
        return [figure for variant in trained if variant.kind == kind for figure in differences.figures(variant)]

    def _frontier(
        self, differences: Differences, trained: Sequence[Variant], compared: Mapping[str, Compared]
    ) -> list[dict[str, Any]]:
        shown = [v for v in trained if v.kind in FRONTIER]
        if all(v.kind == "multi" for v in shown):
            return []
        values = [{t: spread(differences.values(v, t)).mean for t in compared} for v in shown]
        front = non_dominated(values, {t: c.higher for t, c in compared.items()})
        return [
            {
                "variant": v.name,
                "alpha": v.flat.get("alpha") if v.flat["weighting"]["name"] == "fixed" else None,
                "weighting": v.flat["weighting"]["name"],
                "values": found,
                "non_dominated": on_front,
            }
            for v, found, on_front in zip(shown, values, front, strict=True)
        ]

    def _budget(self, figures: Sequence[Figure]) -> list[dict[str, Any]]:
        single = {f.variant.name: f for f in figures if f.difference is None}
        return [
            {
                "task": f.task,
                "share": f.variant.x,
                "kept": self._kept(f.variant),
                "single": single[f.difference.against].spread.mean,
                "multi": f.spread.mean,
                "difference": _difference(f.difference),
                "verdict": f.difference.verdict,
            }
            for f in figures
            if f.difference is not None and f.difference.against in single
        ]

    def _about(self, compared: Compared) -> dict[str, Any]:
        task = compared.task
        return {
            "kind": task["kind"],
            "target": task["key"],
            "metric": compared.metric,
            "higher_is_better": compared.higher,
            "unit": task["unit"],
        }

    def _kept(self, variant: Variant) -> float | None:
        """Give the share of labels that the runs of a label budget had: whole groups stay, which may be many more."""
        task = self.own.budget_task
        if variant.kind != "budget" or task is None or not self.stages.complete(variant.name):
            return None
        every = self.bundle.instances.targets[task].labelled[self.bundle.splits["train"]].mean()
        summaries = [run.summary for run in self.stages.repeated[variant.name].values() if run.summary is not None]
        return float(fmean(s["labelled"][variant.tasks[task]]["train"] for s in summaries) / every)

    def _variant(self, variant: Variant) -> dict[str, Any]:
        chosen, kept = self.stages.chosen.get(variant.name), self._kept(variant)
        return {
            "name": variant.name,
            "label": _label(variant, kept),
            "kind": variant.kind,
            "settings": None if chosen is None else {"lr": chosen.lr, "num_epochs": chosen.num_epochs},
            "tasks": list(variant.tasks),
            "x": variant.x,
            "warnings": self.stages.warnings.get(variant.name, []),
        }


def _figure(figure: Figure, metric: str) -> dict[str, Any]:
    return {
        "variant": figure.variant.name,
        "task": figure.task,
        "metric": metric,
        **asdict(figure.spread),
        "difference": None if figure.difference is None else _difference(figure.difference),
        "control": None if figure.control is None else _difference(figure.control),
        "verdict": figure.verdict,
    }


def _label(variant: Variant, kept: float | None) -> str:
    """Give what a variant is called, with the share of labels that it really had where that is another one."""
    if kept is None or variant.x is None or abs(kept - variant.x) < 0.005:
        return variant.label
    return f"{variant.label} ({100 * kept:.3g} % kept)"


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "against": difference.against,
        **asdict(difference.spread),
        "relative": difference.relative,
        "sample_low": difference.sample.low,
        "sample_high": difference.sample.high,
        "total_low": difference.spread.mean - difference.both.half,
        "total_high": difference.spread.mean + difference.both.half,
        "p": difference.both.p,
        "p_corrected": difference.corrected,
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value
