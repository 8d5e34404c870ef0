"""``representation=checkpoint``: the embedding, and that nothing of val or test was learnt from."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tsmtl import load_model, load_transform
from tsmtl.checkpoint.file import SEEN, read_checkpoint, write_checkpoint

FILES = ["data=npz", "data.channels_key=channels"]


@pytest.mark.parametrize("case", ["gru", "lengths"])
def test_vectors_are_the_embedding_of_the_model(trained, tsmtl_represent, tmp_path, case):
    run = trained(case)
    padded = ["data.lengths_key=lengths"] if case == "lengths" else []
    model = f"representation.path={run.folder / 'best_model.pt'}"
    answer = tsmtl_represent(
        *FILES, f"data.path={run.data}", *padded, "representation=checkpoint", model, "output=v.npz"
    )
    assert answer.code == 0, answer.err
    assert "not known" not in answer.err
    arrays = run.arrays
    expected = load_model(run.folder / "best_model.pt").embed(arrays["X"], arrays.get("lengths"))
    with np.load("v.npz") as found:
        np.testing.assert_allclose(found["X"], expected, rtol=1e-5, atol=1e-6)
    before = torch.random.get_rng_state()
    transform = load_transform("v.transform.pt")
    assert torch.equal(torch.random.get_rng_state(), before)  # a script's own random numbers go on as they were
    np.testing.assert_allclose(transform.transform(arrays["X"], arrays.get("lengths")), expected, rtol=1e-5, atol=1e-6)


def test_a_model_that_has_learnt_from_test_instances_is_refused(trained, tsmtl_represent, tmp_path):
    run = trained("gru")
    model = f"representation.path={run.folder / 'best_model.pt'}"
    words = [*FILES, f"data.path={run.data}", "data.seed=5", "representation=checkpoint", model, "output=v.npz"]
    answer = tsmtl_represent(*words)
    assert answer.code == 2
    (line,) = answer.lines
    assert "of the 8 test instances are among those that" in line
    assert "train it on the same split" in line
    assert not (tmp_path / "v.npz").exists()


def test_that_it_cannot_be_known_is_said(trained, tsmtl_represent):
    run = trained("gru")
    content = read_checkpoint(run.folder / "best_model.pt")
    del content[SEEN], content["format_version"]
    write_checkpoint(Path("old.pt"), content)
    words = [*FILES, f"data.path={run.data}", "representation=checkpoint", "representation.path=old.pt", "output=v.npz"]
    answer = tsmtl_represent(*words)
    assert answer.code == 0, answer.err
    assert "whether old.pt was trained on test instances is not known" in answer.err


def test_scaling_and_filling_are_the_models_own(trained, tsmtl_represent):
    run = trained("gru")
    model = f"representation.path={run.folder / 'best_model.pt'}"
    words = [*FILES, f"data.path={run.data}", "data.scale=minmax", "representation=checkpoint", model, "output=v.npz"]
    answer = tsmtl_represent(*words)
    assert answer.lines == [
        "tsmtl-represent: data.scale: the checkpoint fills and scales as it was trained; leave it out"
    ]


def test_a_model_of_vectors_makes_none(trained, tsmtl_represent):
    run = trained("fc")
    model = f"representation.path={run.folder / 'best_model.pt'}"
    answer = tsmtl_represent("representation=checkpoint", model, "output=v.npz")
    assert answer.code == 2
    assert "reads vectors; a model of series makes them" in answer.err
