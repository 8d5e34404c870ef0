"""A library is loaded and checked once, and refused where it would give or leave other numbers."""

import ctypes

import pytest
import torch

from tests.conftest import needs_compiler
from tsmtl.models.convolution_native import CONVOLUTION_KERNELS
from tsmtl.models.dropout import DROPOUT_KERNELS
from tsmtl.models.gru_native import GRU_KERNELS
from tsmtl.models.norm_relu_native import NORM_KERNELS
from tsmtl.native import Library, NativeError
from tsmtl.representation.rocket_native import ROCKET_KERNELS

TIMES = {"times": [ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p]}


def doubles(library: ctypes.CDLL) -> str | None:
    x = torch.arange(5.0)
    found = torch.empty(5)
    library.times(5, x.data_ptr(), found.data_ptr())
    return None if torch.equal(found, 2 * x) else f"{found.tolist()}"


@needs_compiler
@pytest.mark.usefixtures("sources", "cache")
def test_it_is_loaded_checked_and_called_with_tensors():
    checked = []
    library = Library("times", TIMES, lambda loaded: checked.append(doubles(loaded)))
    assert library.loaded is library.loaded
    assert checked == [None]


@needs_compiler
@pytest.mark.usefixtures("sources", "cache")
def test_it_is_at_hand_where_it_is_loaded_or_in_the_cache():
    first = Library("times", TIMES, doubles)
    assert not first.at_hand
    _ = first.loaded
    assert first.at_hand
    assert Library("times", TIMES, doubles).at_hand


@pytest.mark.usefixtures("sources", "cache")
def test_it_is_not_at_hand_where_it_cannot_be_had(monkeypatch):
    monkeypatch.setenv("PATH", "")
    library = Library("times", TIMES, doubles)
    assert not library.at_hand
    with pytest.raises(NativeError):
        _ = library.loaded
    assert not library.at_hand


@needs_compiler
@pytest.mark.parametrize(
    "kernels",
    [GRU_KERNELS, NORM_KERNELS, DROPOUT_KERNELS, ROCKET_KERNELS, CONVOLUTION_KERNELS],
    ids=lambda kernels: kernels.name,
)
def test_loading_draws_nothing_from_torchs_generator(kernels, monkeypatch):
    monkeypatch.setattr(kernels, "_found", None)
    before = torch.get_rng_state()
    loaded = kernels.loaded
    assert torch.equal(torch.get_rng_state(), before)
    assert kernels._check(loaded) is None
    assert torch.equal(torch.get_rng_state(), before), "the check draws from its own"


@needs_compiler
@pytest.mark.usefixtures("sources", "cache")
def test_what_a_check_draws_leaves_torchs_generator_as_it_was():
    drawn = []
    library = Library("times", TIMES, lambda loaded: drawn.append(torch.rand(())))
    before = torch.get_rng_state()
    assert library.loaded
    assert drawn
    assert torch.equal(torch.get_rng_state(), before)


@needs_compiler
@pytest.mark.usefixtures("cache")
def test_other_numbers_than_torchs_are_refused_whenever_it_is_asked_for(sources, monkeypatch):
    (sources / "factor.h").write_text("#define FACTOR 2.5f\n")
    library = Library("times", TIMES, doubles)
    for _ in range(2):
        with pytest.raises(NativeError, match=r"gives other numbers than torch \(\[0.0, 2.5, "):
            _ = library.loaded
        monkeypatch.setattr("tsmtl.native.library.built", lambda name: pytest.fail("it was tried before"))


@needs_compiler
@pytest.mark.usefixtures("sources", "cache")
def test_denormal_numbers_outlive_the_loading_even_of_a_library_that_would_end_them(monkeypatch):
    small = torch.tensor([1e-40])
    _ = Library("times", TIMES, doubles).loaded
    assert (small * 1).item() > 0
    monkeypatch.setenv("CXX", "c++ -ffast-math")
    fast = Library("times", TIMES, doubles)
    try:
        _ = fast.loaded  # a compiler for which that flag is harmless
    except NativeError as error:
        assert "changes how this process rounds" in str(error)  # noqa: PT017
    assert (small * 1).item() > 0


@needs_compiler
@pytest.mark.usefixtures("sources", "cache")
def test_a_function_that_is_missing_is_named():
    with pytest.raises(NativeError, match="lacks the function halves"):
        _ = Library("times", {"halves": []}, doubles).loaded


@pytest.mark.usefixtures("sources", "cache")
def test_a_file_that_is_no_library_is_refused(monkeypatch, tmp_path):
    path = tmp_path / "times.so"
    path.write_text("no library")
    monkeypatch.setattr("tsmtl.native.library.built", lambda name: path)
    with pytest.raises(NativeError, match=r"times.so cannot be loaded \([^/]+\); XDG_CACHE_HOME names another folder"):
        _ = Library("times", TIMES, doubles).loaded
