"""t-SNE of vectors of any size."""

import numpy as np
import pytest

from tsmtl.training.neighbours import neighbours_in_two


@pytest.mark.parametrize(("middle", "spread"), [(0.0, 1.0), (0.0, 1e25), (0.0, 1e-25), (1e6, 1e-3)])
def test_two_groups_come_apart_at_any_scale(middle, spread):
    group = np.repeat([0, 1], 20)
    x = np.random.default_rng(0).normal(size=(40, 4)) + 20 * group[:, None]
    found = neighbours_in_two(middle + spread * x, seed=0)
    assert np.isfinite(found).all()
    centres = [found[group == g].mean(axis=0) for g in (0, 1)]
    nearest = np.argmin([np.linalg.norm(found - centre, axis=1) for centre in centres], axis=0)
    assert (nearest == group).all()
