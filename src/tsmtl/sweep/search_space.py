"""What a search may choose from: the swept settings of the command line as Optuna's distributions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from tsmtl.config.errors import UserError
from tsmtl.sweep.results import SEED


@dataclass(frozen=True)
class Dimension:
    """One searched setting.

    Attributes:
        key: Its name as an override, such as ``++lr``.
        distribution: Optuna's.
        grid: The values of a range, as the command line would write them; empty for others.
    """

    key: str
    distribution: BaseDistribution
    grid: tuple[str, ...] = ()

    def typed(self, value: Any) -> str:
        """Give a chosen value as typed: of a range exactly one of its own, of an interval six digits."""
        if self.grid:
            return min(self.grid, key=lambda one: abs(float(one) - float(value)))
        return f"{value:.6g}" if isinstance(value, float) else str(value)

    def of_whole_numbers(self) -> "Dimension | None":
        """Give the same interval over whole numbers alone; None where its ends are none, or it is no interval."""
        found = self.distribution
        if self.grid or not isinstance(found, FloatDistribution) or not (found.low % 1 == found.high % 1 == 0):
            return None
        return Dimension(self.key, IntDistribution(int(found.low), int(found.high), log=found.log))

    @property
    def corners(self) -> list[Any]:
        """The values that a check of the whole space tries."""
        if isinstance(self.distribution, CategoricalDistribution):
            return list(self.distribution.choices)
        assert isinstance(self.distribution, FloatDistribution | IntDistribution), "there are no others"
        return list(dict.fromkeys([self.distribution.low, self.distribution.high]))


@dataclass(frozen=True)
class SearchSpace:
    """The arguments of a search.

    Attributes:
        fixed: Overrides of every trial.
        dimensions: What is searched.
        seeds: Overrides of each repetition; one without any where the seed is not swept.
    """

    fixed: Sequence[str]
    dimensions: Sequence[Dimension]
    seeds: Sequence[Sequence[str]]

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """What Optuna chooses from, by the name of the setting."""
        return {dimension.key.lstrip("+"): dimension.distribution for dimension in self.dimensions}

    def typed(self, params: Mapping[str, Any]) -> dict[str, str]:
        """Give chosen values as typed."""
        return {d.key.lstrip("+"): d.typed(params[d.key.lstrip("+")]) for d in self.dimensions}

    def overrides(self, typed: Mapping[str, str]) -> list[str]:
        """Give the arguments of a trial with these values."""
        return [*self.fixed, *(f"{d.key}={typed[d.key.lstrip('+')]}" for d in self.dimensions)]


def search_space(overrides: Sequence[Override]) -> SearchSpace:
    """Divide parsed arguments into what is searched and what is not.

    Raises:
        UserError: If nothing is searched, or the seed is.
    """
    fixed, dimensions = list[str](), list[Dimension]()
    seeds: list[list[str]] = [[]]
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            fixed.append(f"{key}={override.get_value_element_as_str()}")
        elif key.lstrip("+") == "trainer.monitor":
            raise UserError("trainer.monitor: is what trials are compared by, and is not searched; give one")
        elif key.lstrip("+") == SEED:
            if isinstance(override.value(), IntervalSweep):
                raise UserError("seed: repeats every trial, and is not searched; give its values, such as seed=0,1,2")
            seeds = [[f"{key}={value}"] for value in override.sweep_string_iterator()]
        else:
            dimensions.append(_dimension(key, override))
    if not dimensions:
        raise UserError(
            "hydra/sweeper=tsmtl_optuna: no setting to search; give some, such as 'lr=tag(log,interval(1e-5,1e-1))' or "
            "hidden_size=choice(32,64,128)"
        )
    return SearchSpace(fixed, dimensions, seeds)


def _dimension(key: str, override: Override) -> Dimension:
    sweep: Any = override.value()
    name = key.lstrip("+")
    known = {"log"} if isinstance(sweep, IntervalSweep) else set[str]()
    if unknown := sorted(sweep.tags - known):
        raise UserError(
            f"{name}: tag({unknown[0]}, ...) says nothing here; an interval may have tag(log, interval(...))"
        )
    if isinstance(sweep, IntervalSweep):
        low, high, log = sweep.start, sweep.end, "log" in sweep.tags
        if low is None or high is None or low >= high or (log and low <= 0):
            raise UserError(
                f"{name}: interval({low},{high}) must go from a smaller to a greater value, above 0 with log"
            )
        if isinstance(low, int) and isinstance(high, int):  # int(interval(...)): Hydra's grammar has floats otherwise
            return Dimension(key, IntDistribution(low, high, log=log))
        return Dimension(key, FloatDistribution(float(low), float(high), log=log))
    values = tuple(override.sweep_string_iterator())
    if isinstance(sweep, RangeSweep) and len(values) > 1:
        grid = tuple(sorted(values, key=float))
        step = abs(Decimal(str(sweep.step)))
        ends = (float(grid[0]), float(Decimal(grid[0]) + step * (len(grid) - 1)))
        return Dimension(key, FloatDistribution(*ends, step=float(step)), grid)
    return Dimension(key, CategoricalDistribution(values))
