"""``representation=moment`` beside the model itself."""

import numpy as np
import pytest
import torch

from tests.representation.conftest import train_of
from tests.representation.test_pretrained import CPU
from tests.representation.tiny_models import tiny
from tsmtl.representation.moment import Moment


@pytest.mark.parametrize("steps", [24, 64])
def test_vectors_are_the_models_own_of_each_channel_padded_in_front(steps, tmp_path, series):
    model = tiny("moment", tmp_path)
    method = Moment(str(tmp_path), CPU)
    method.fit(train_of(series), 0)
    x = np.concatenate([series, series], axis=2)[:, :, :steps]
    padded, mask = torch.zeros(90, 1, 64), torch.zeros(90, 64)
    padded[:, 0, 64 - steps :] = torch.tensor(x.reshape(90, steps))
    mask[:, 64 - steps :] = 1
    with torch.inference_mode():
        expected = model.embed(x_enc=padded, input_mask=mask).embeddings.reshape(30, 48).numpy()
    np.testing.assert_allclose(method.transform(x), expected, rtol=1e-4, atol=1e-5)


def test_a_series_that_does_not_fill_its_patches_is_stretched(tmp_path):
    tiny("moment", tmp_path)
    x = np.linspace(-1, 1, 24, dtype=np.float32)[None, None]
    method = Moment(str(tmp_path), CPU)
    method.fit(train_of(x), 0)
    ramp = np.linspace(-1, 1, 21, dtype=np.float32)[None, None]  # nearly the same ramp, three steps short of a patch
    difference = np.abs(method.transform(ramp) - method.transform(x)).max()
    without = np.abs(method.transform(ramp[:, :, :16]) - method.transform(x)).max()
    assert difference < without
