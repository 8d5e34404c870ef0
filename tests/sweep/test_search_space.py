"""What the command line's words for a space become."""

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from tsmtl.config.errors import UserError
from tsmtl.sweep.search_space import SearchSpace, search_space


def space_of(*overrides: str) -> SearchSpace:
    return search_space(OverridesParser.create().parse_overrides(list(overrides)))


@pytest.mark.parametrize(
    ("override", "distribution"),
    [
        ("++lr=tag(log,interval(1e-5,1e-1))", FloatDistribution(1e-5, 1e-1, log=True)),
        ("++lr=interval(0,0.5)", FloatDistribution(0, 0.5)),
        ("++n=int(interval(1,8))", IntDistribution(1, 8)),
        ("++n=tag(log,int(interval(1,64)))", IntDistribution(1, 64, log=True)),
        ("++n=choice(32,64,128)", CategoricalDistribution(("32", "64", "128"))),
        ("++n=a,b", CategoricalDistribution(("a", "b"))),
        ("++n=range(32,129,32)", FloatDistribution(32, 128, step=32)),
        ("++n=range(0.1,0.5,0.1)", FloatDistribution(0.1, 0.4, step=0.1)),
        ("++n=range(128,31,-32)", FloatDistribution(32, 128, step=32)),
        ("model=lstm,gru", CategoricalDistribution(("lstm", "gru"))),
    ],
)
def test_hydras_words_become_optunas(override, distribution):
    (dimension,) = space_of(override).dimensions
    assert dimension.distribution == distribution


@pytest.mark.parametrize(
    ("override", "grid"),
    [
        ("++n=range(32,129,32)", ["32", "64", "96", "128"]),
        ("++n=range(0.1,0.5,0.1)", ["0.1", "0.2", "0.30000000000000004", "0.4"]),
        ("++n=shuffle(range(1,4))", ["1", "2", "3"]),
    ],
)
def test_a_grid_keeps_its_own_values(override, grid):
    (dimension,) = space_of(override).dimensions
    distribution = dimension.distribution
    steps = [distribution.low + i * distribution.step for i in range(len(grid))]
    assert [dimension.typed(value) for value in steps] == grid
    assert dimension.typed(distribution.high) == grid[-1]


def test_what_is_not_swept_is_fixed_and_the_seed_repeats():
    space = space_of("model=gru", "++lr=1e-3,1e-2", "++seed=0,1,2", "++data.path='a b'")
    assert list(space.fixed) == ["model=gru", "++data.path='a b'"]
    assert list(space.distributions) == ["lr"]
    assert list(space.seeds) == [["++seed=0"], ["++seed=1"], ["++seed=2"]]
    assert space.overrides({"lr": "0.01"}) == ["model=gru", "++data.path='a b'", "++lr=0.01"]
    assert [dimension.typed(0.0012345678) for dimension in space_of("++lr=interval(0,1)").dimensions] == ["0.00123457"]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["++lr=1e-3"], "hydra/sweeper=tsmtl_optuna: no setting to search"),
        (["++seed=0,1"], "hydra/sweeper=tsmtl_optuna: no setting to search"),
        (["++lr=1,2", "++seed=interval(0,3)"], "seed: repeats every trial, and is not searched"),
        (["++lr=tag(log,interval(0,1))"], "lr: interval(0.0,1.0) must go from a smaller to a greater value, above 0"),
        (["++lr=interval(2,1)"], "lr: interval(2.0,1.0) must go from a smaller to a greater value"),
    ],
)
def test_a_space_without_sense_is_refused(overrides, said):
    with pytest.raises(UserError) as caught:
        space_of(*overrides)
    assert str(caught.value).startswith(said)
