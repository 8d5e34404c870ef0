"""Divide instances into train, val and test: as given, by group, or at random stratified by class."""

import numpy as np
import numpy.typing as npt

from tsmtl.config.data_settings import DataSettings
from tsmtl.config.errors import UserError
from tsmtl.data.instances import SPLITS, ClassTarget, Instances, IntArray, NumberTarget

DRAWS = 64  # of groups; the one nearest to the wanted share and to the class shares is taken
BINS = 10  # of a number, where there is no class to stratify by
NO_ROWS: IntArray = np.empty(0, dtype=np.int64)


def split(instances: Instances, settings: DataSettings) -> dict[str, IntArray]:
    """Give the rows of each split; the same settings give the same rows.

    A split that the source gives is kept; what is missing is carved: test from all, val from train. Where there are
    groups none is divided; else the draw is stratified by the first class target, or by tenths of the first
    number, or by the first label.

    Raises:
        UserError: If a split is empty, or a group stands on both sides of a given split.
    """
    rng = np.random.default_rng(settings.seed)
    strata = None
    rows = dict(instances.given or {"train": np.arange(len(instances.x))})
    for name, fraction in (("test", settings.test_fraction), ("val", settings.val_fraction)):
        train = rows.get("train", NO_ROWS)
        if name in rows or not len(train):
            continue
        strata = _strata(instances) if strata is None else strata
        if instances.groups is not None:
            chosen = draw_groups(instances.groups[train], strata[train], fraction, rng, instances.where)
        else:
            chosen = draw_stratified(strata[train], fraction, rng)
        rows["train"], rows[name] = train[~chosen], train[chosen]
    rows = {name: np.asarray(rows.get(name, NO_ROWS)) for name in SPLITS}
    empty = [name for name, r in rows.items() if not len(r)]
    if empty:
        sizes = ", ".join(f"{name} {len(r)}" for name, r in rows.items())
        one_class = next((t for t in instances.targets.values() if isinstance(t, ClassTarget)), None)
        if one_class is not None and strata is not None and len(np.unique(strata)) == len(strata):
            raise UserError(
                f"{instances.where}: the {' and '.join(empty)} split is empty ({sizes}): '{one_class.key}' has another "
                "class for each instance, and the only one of a class stays in train; is it a class?"
            )
        raise UserError(
            f"{instances.where}: the {' and '.join(empty)} split is empty ({sizes}); give it instances in the split "
            "array, or set data.val_fraction and data.test_fraction so that each split gets some"
        )
    _check_groups(instances, rows)
    return rows


def draw_stratified(strata: IntArray, fraction: float, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Choose a share of the rows so that every stratum gives its own share, to within one row.

    Args:
        strata: (N,) ids.
        fraction: Share of the rows to choose.
        rng: Source of the draw.

    Returns:
        (N,) mask of ``round(fraction * N)`` rows, or of fewer where strata are too small to give their share: every
        stratum keeps at least one row unchosen.
    """
    ids, counts = np.unique(strata, return_counts=True)
    quota = counts * fraction
    take = np.minimum(np.floor(quota).astype(np.int64), counts - 1)
    order = [i for i in np.argsort(-(quota - take), kind="stable") if take[i] < min(quota[i], counts[i] - 1)]
    for i in order[: max(0, round(fraction * len(strata)) - int(take.sum()))]:
        take[i] += 1
    chosen = np.zeros(len(strata), dtype=bool)
    for stratum, number in zip(ids, take, strict=True):
        chosen[rng.permutation(np.flatnonzero(strata == stratum))[:number]] = True
    return chosen


def draw_groups(
    groups: npt.NDArray[np.generic], strata: IntArray, fraction: float, rng: np.random.Generator, where: str
) -> npt.NDArray[np.bool_]:
    """Choose whole groups that hold about a share of the rows, with class shares near those of all rows.

    Returns:
        (N,) mask; at least one group is chosen and one is not.

    Raises:
        UserError: If there is only one group.
    """
    _, group = np.unique(groups, return_inverse=True)
    n_groups = int(group.max()) + 1
    if n_groups < 2:
        raise UserError(f"{where}: all instances to divide are of one group; a group is never divided between splits")
    _, stratum = np.unique(strata, return_inverse=True)
    counts = np.zeros((n_groups, int(stratum.max()) + 1))  # (groups, strata)
    np.add.at(counts, (group, stratum), 1)
    return np.asarray(np.isin(group, draw_by_counts(counts, fraction, rng)))


def draw_by_counts(counts: npt.NDArray[np.float64], fraction: float, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Choose some of two groups or more, as :func:`draw_groups` does, by what they hold.

    Args:
        counts: (groups, strata) instances.
        fraction: Share of all instances to choose.
        rng: Source of the draw.

    Returns:
        The groups chosen; at least one is, and one is not.
    """
    counts = counts[:, counts.any(axis=0)]
    n_groups, total = len(counts), counts.sum(axis=0)
    best: tuple[float, npt.NDArray[np.int64]] | None = None
    for _ in range(DRAWS):
        order = rng.permutation(n_groups)
        share = np.cumsum(counts[order].sum(axis=1))[:-1] / total.sum()
        part = order[: int(np.argmin(np.abs(share - fraction))) + 1]
        inside = counts[part].sum(axis=0)
        score = np.abs(inside / total - fraction).mean() + np.mean(inside == total)  # a stratum must not leave train
        if best is None or score < best[0]:
            best = (float(score), part)
    assert best is not None
    return best[1]


def _strata(instances: Instances) -> IntArray:
    for target in instances.targets.values():
        if isinstance(target, ClassTarget):
            return target.ids
    numbers = [target for target in instances.targets.values() if isinstance(target, NumberTarget)]
    target = next(iter([*numbers, *instances.targets.values()]))
    assert not isinstance(target, ClassTarget)
    values = target.values[:, 0]
    known = ~np.isnan(values)
    strata = np.full(len(values), -1, dtype=np.int64)
    if known.any():
        edges = np.quantile(values[known], np.arange(1, BINS) / BINS)
        strata[known] = np.searchsorted(edges, values[known])
    return strata


def _check_groups(instances: Instances, rows: dict[str, IntArray]) -> None:
    if instances.groups is None:
        return
    seen: dict[str, str] = {}
    for name, r in rows.items():
        for group in np.unique(instances.groups[r]).tolist():
            other = seen.setdefault(str(group), name)
            if other != name:
                raise UserError(
                    f"{instances.where}: group {group} stands in the {other} and in the {name} split; mend the split, "
                    "or leave out data.group_key if instances of one group are independent"
                )
