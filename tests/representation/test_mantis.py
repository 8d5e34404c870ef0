"""``representation=mantis`` beside the model itself."""

import numpy as np
import pytest
import torch

from tests.representation.conftest import train_of
from tests.representation.test_pretrained import CPU
from tests.representation.tiny_models import tiny
from tsmtl.config.errors import UserError
from tsmtl.representation.mantis import Mantis


@pytest.mark.parametrize("kind", ["mantis", "mantis 8M", "mantis 2"])
def test_vectors_are_the_models_own_of_each_channel_stretched_to_its_steps(kind, tmp_path, series):
    model = tiny(kind, tmp_path)
    method = Mantis(str(tmp_path), 64, CPU)
    method.fit(train_of(series), 0)
    places = (np.arange(64) + 0.5) * 40 / 64 - 0.5  # of 64 steps among 40, halves of steps at the ends
    stretched = np.stack([np.interp(places, np.arange(40), row) for row in series.reshape(90, 40)])
    with torch.inference_mode():
        expected = model(torch.tensor(stretched, dtype=torch.float32)[:, None]).reshape(30, 48).numpy()
    np.testing.assert_allclose(method.transform(series), expected, rtol=1e-3, atol=1e-4)


def test_steps_must_be_those_of_the_weights(tmp_path, series):
    tiny("mantis", tmp_path / "one")
    with pytest.raises(UserError, match=r"representation\.steps: must be 64, as .* was trained \(got 512\)"):
        Mantis(str(tmp_path / "one"), 512, CPU).fit(train_of(series), 0)
    tiny("mantis 2", tmp_path / "two")
    Mantis(str(tmp_path / "two"), 128, CPU).fit(train_of(series), 0)
    with pytest.raises(UserError, match=r"representation\.steps: must be a multiple of 8"):
        Mantis(str(tmp_path / "two"), 100, CPU).fit(train_of(series), 0)
