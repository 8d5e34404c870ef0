"""``representation=chronos`` beside the libraries' own pipelines."""

import json

import numpy as np
import pytest
import torch

from tests.representation.conftest import train_of
from tests.representation.test_pretrained import CPU
from tests.representation.tiny_models import tiny
from tsmtl.config.errors import UserError
from tsmtl.representation.chronos import Chronos

TIMELESS = {"chronos": 1, "chronos bolt": 1, "chronos 2": 2}  # end of series; register; register and masked output


@pytest.mark.parametrize("kind", TIMELESS)
def test_vectors_are_the_mean_over_time_of_the_encoder(kind, tmp_path, series):
    tiny(kind, tmp_path)
    from chronos import BaseChronosPipeline

    method = Chronos(str(tmp_path), CPU)
    method.fit(train_of(series), 0)
    pipeline = BaseChronosPipeline.from_pretrained(tmp_path)
    for row in (0, 7):
        for channel in range(3):
            one = torch.from_numpy(series[row, channel])
            found = pipeline.embed(one[None, None])[0][0] if kind == "chronos 2" else pipeline.embed(one)[0]
            tokens = found[0].detach().numpy()
            assert len(tokens) == (40 if kind == "chronos" else 5) + TIMELESS[kind]
            expected = tokens[: -TIMELESS[kind]].mean(axis=0)
            vector = method.transform(series)[row].reshape(3, 16)[channel]
            np.testing.assert_allclose(vector, expected, rtol=1e-3, atol=1e-4)


def test_a_decoder_alone_has_no_embedding(tmp_path, series):
    tiny("chronos", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config["chronos_config"]["model_type"] = "causal"
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="a Chronos model of the decoder alone has no embedding"):
        Chronos(str(tmp_path), CPU).fit(train_of(series), 0)


def test_code_in_the_folder_is_not_run(tmp_path, series):
    tiny("chronos", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"model_type": "of their own", "auto_map": {"AutoConfig": "theirs.Theirs"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "theirs.py").write_text(f"open({str(tmp_path / 'was_run')!r}, 'w')\nclass Theirs: pass\n")
    with pytest.raises(UserError, match="holds no model that chronos-forecasting opens"):
        Chronos(str(tmp_path), CPU).fit(train_of(series), 0)
    assert not (tmp_path / "was_run").exists()
