"""What every pretrained model promises: the weights of a folder, whole and unchanged, and nothing from a network."""

import json
import shutil
import socket
import sys

import numpy as np
import pytest
import torch

import tsmtl
from tests.representation.conftest import train_of
from tests.representation.tiny_models import KINDS, STEPS, tiny
from tsmtl.config.errors import UserError
from tsmtl.models.precision import float32_products
from tsmtl.representation.pretrained import Pretrained
from tsmtl.representation.registry import PRETRAINED

CPU = torch.device("cpu")


def opened(kind, folder):
    """Give the representation of a kind of model, still to be fitted."""
    name = kind.split()[0]
    return PRETRAINED[name](path=str(folder), device=CPU, **({"steps": STEPS} if name == "mantis" else {}))


@pytest.fixture(autouse=True)
def _no_network(monkeypatch):
    def refuse(*given):
        raise AssertionError("a network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("kind", KINDS)
def test_each_channel_has_its_own_vector_whatever_stands_beside_it(kind, tmp_path, series):
    tiny(kind, tmp_path / "weights")
    method = opened(kind, tmp_path / "weights")
    method.fit(train_of(series), 0)
    vectors = method.transform(series)
    assert vectors.shape == (30, 3 * 16)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    assert method.names[16] == f"s2 {kind.split()[0]}1"
    assert len(set(method.names)) == 48
    np.testing.assert_allclose(method.transform(series[4:5]), vectors[4:5], rtol=1e-4, atol=1e-5)
    other = series.copy()
    other[:, 1] = other[::-1, 1]
    moved = np.abs(method.transform(other) - vectors).max(axis=0).reshape(3, 16).max(axis=1)
    assert moved[1] > 1e-3
    assert moved[[0, 2]].max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_series_of_any_length_have_vectors(kind, tmp_path, series):
    tiny(kind, tmp_path / "weights")
    method = opened(kind, tmp_path / "weights")
    method.fit(train_of(series), 0)
    long = np.concatenate([series, series, series], axis=2)  # 120 steps
    for x in (series[:, :, :1], series[:, :, :7], series[:, :, :8], long, np.full_like(series, 3)):
        found = method.transform(x)
        assert found.shape == (30, 48)
        assert np.isfinite(found).all(), x.shape
    assert np.abs(method.transform(long) - method.transform(long[:, :, ::-1])).max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_names_the_weights_and_other_ones_are_refused(kind, tmp_path, series):
    tiny(kind, tmp_path / "weights")
    method, again = (opened(kind, tmp_path / "weights") for _ in range(2))
    method.fit(train_of(series), 0)
    state = method.state()
    assert state["folder"] == str(tmp_path / "weights")
    again.load_state(state)
    assert again.names == method.names
    np.testing.assert_allclose(again.transform(series), method.transform(series), rtol=1e-5, atol=1e-6)
    tiny(kind, tmp_path / "other", seed=1)
    with pytest.raises(UserError, match="other holds other weights than those of the fitted transform"):
        opened(kind, tmp_path / "other").load_state(state)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_not_whole_are_refused(kind, tmp_path, series):
    tiny(kind, tmp_path / "weights")
    from safetensors.torch import load_file, save_file  # which comes with the libraries

    (file,) = (tmp_path / "weights").glob("*.safetensors")
    tensors = load_file(file)
    del tensors[min(name for name in tensors if name.startswith(("encoder.block", "transf", "vit")))]
    save_file(tensors, file, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"weights holds no model that .* opens \("):
        opened(kind, tmp_path / "weights").fit(train_of(series), 0)


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_weights_that_is_cut_off_is_refused(kind, tmp_path, series):
    tiny(kind, tmp_path / "weights")
    (file,) = (tmp_path / "weights").glob("*.safetensors")
    whole = file.read_bytes()
    for length in (len(whole) // 2, 100, 4):
        file.write_bytes(whole[:length])
        with pytest.raises(UserError, match=r"weights holds no model that .* opens \("):
            opened(kind, tmp_path / "weights").fit(train_of(series), 0)


@pytest.mark.parametrize("kind", ["mantis", "moment", "chronos"])
def test_what_is_no_folder_of_weights_is_refused(kind, tmp_path, series):
    tiny(kind, tmp_path / "weights")
    with pytest.raises(UserError, match=r"representation\.path: .*authors/model must be a folder with config\.json"):
        opened(kind, "authors/model").fit(train_of(series), 0)
    (tmp_path / "weights" / "config.json").write_text(json.dumps({"a": 1}))
    with pytest.raises(UserError, match="holds no model that"):
        opened(kind, tmp_path / "weights").fit(train_of(series), 0)


@pytest.mark.parametrize("kind", ["mantis", "moment", "chronos bolt"])
def test_vectors_are_made_and_new_series_read_where_the_weights_have_moved(
    kind, tmp_path, tsmtl_represent, tsmtl_train, tsmtl_predict, series
):
    tiny(kind, tmp_path / "weights")
    y = np.arange(30) % 2
    x = series + 3 * y[:, None, None]
    x[::7, 1, 5] = np.nan
    np.savez("series.npz", X=x, y_cls=y, y_reg=y + 0.5)
    name = kind.split()[0]
    words = [f"representation={name}", "representation.path=weights", "output=v.npz"]
    words += [f"representation.steps={STEPS}"] if name == "mantis" else []
    answer = tsmtl_represent("data=npz", "data.path=series.npz", *words, "device=cpu")
    assert answer.code == 0, answer.err
    with np.load("v.npz") as file:
        expected, rows = file["X"], file["instance"]
    shutil.move("weights", "moved")
    new = ["fitted=v.transform.pt", "data.path=series.npz", "output=new.npz", "device=cpu"]
    answer = tsmtl_represent(*new)
    assert answer.code == 2
    assert f"weights: {tmp_path / 'weights'} must be a folder with config.json" in answer.err
    answer = tsmtl_represent(*new, "weights=moved")
    assert answer.code == 0, answer.err
    with np.load("new.npz") as file:
        np.testing.assert_allclose(file["X"][rows], expected, rtol=1e-4, atol=1e-5)
    found = tsmtl.load_transform("v.transform.pt", weights="moved").transform(x)
    np.testing.assert_allclose(found[rows], expected, rtol=1e-4, atol=1e-5)
    small = ["model=fc", "hidden_sizes=[4]", "num_epochs=1", "device=cpu", "hydra.run.dir=run"]
    assert tsmtl_train("data=npz", "data.path=v.npz", *small).code == 0
    model = ["checkpoint=run/best_model.pt", "data.path=series.npz", "output=p.csv"]
    answer = tsmtl_predict(*model, "transform=v.transform.pt", "weights=moved")
    assert answer.code == 0, answer.err


def test_weights_are_for_transforms_of_pretrained_models(tmp_path, tsmtl_represent, tsmtl_predict, series):
    np.savez("series.npz", X=series, y_cls=np.arange(30) % 2, y_reg=np.arange(30.0))
    words = ["data=npz", "data.path=series.npz", "representation=summary", "output=v.npz"]
    assert tsmtl_represent(*words).code == 0
    answer = tsmtl_represent("fitted=v.transform.pt", "data.path=series.npz", "output=new.npz", "weights=w")
    assert answer.lines == [
        "tsmtl-represent: weights: the transform v.transform.pt (representation=summary) reads none; leave it out"
    ]
    answer = tsmtl_predict("checkpoint=m.pt", "data.path=series.npz", "output=p.csv", "weights=w")
    assert answer.lines == [
        "tsmtl-predict: weights: is read by a transform of a pretrained model; name it with transform="
    ]


INSTALL = {
    "mantis": ("mantis.architecture", "mantis-tsfm: pip install 'tsmtl[mantis]'"),
    "moment": ("momentfm", "momentfm: pip install --no-deps momentfm && pip install transformers"),
    "chronos": ("chronos", "chronos-forecasting: pip install 'tsmtl[chronos]'"),
}


@pytest.mark.parametrize("name", INSTALL)
def test_without_the_library_the_install_line_is_said(name, tmp_path, tsmtl_represent, monkeypatch):
    module, said = INSTALL[name]
    monkeypatch.setitem(sys.modules, module, None)
    answer = tsmtl_represent(f"representation={name}", "representation.path=weights", "output=v.npz")
    assert answer.code == 2
    assert answer.lines == [f"tsmtl-represent: representation: {name} needs {said}"]
    assert not (tmp_path / "v.npz").exists()


class _Rounds(Pretrained):
    """Its vectors say whether a GPU would round the products of convolutions to TF32."""

    module, package, install, width = "json", "none", "", 1

    def open_model(self, config, weights):
        return 1

    def embed(self, x):
        return torch.full((len(x), 1), float(torch.backends.cudnn.allow_tf32))


def test_vectors_are_made_in_float32_on_a_gpu_too(monkeypatch, series):
    """A CPU stands for it, whose switches are those of a GPU."""
    gpu = torch.device("cuda")
    monkeypatch.setattr("tsmtl.representation.pretrained.float32_products", lambda device: float32_products(gpu))
    assert torch.backends.cudnn.allow_tf32
    assert not _Rounds("", CPU).transform(series).any()
    assert torch.backends.cudnn.allow_tf32


def test_the_folder_must_be_named(tsmtl_represent):
    answer = tsmtl_represent("representation=moment", "output=v.npz")
    said = "missing; give representation.path=... (the folder of the weights: config.json, *.safetensors)"
    assert answer.lines == [f"tsmtl-represent: representation.path: {said}"]
