"""Denormal numbers are zeros within a block, and numbers again behind it."""

import pytest
import torch

from tsmtl.native.denormals import denormals_are_zeros, denormals_as_zeros


def small() -> float:
    return (torch.tensor([1e-40]) * 1).item()


def test_they_are_zeros_within_the_block_alone():
    assert small() > 0
    assert not denormals_are_zeros()
    with denormals_as_zeros():
        assert small() == 0
        assert denormals_are_zeros()
    assert small() > 0
    with pytest.raises(RuntimeError, match="within"), denormals_as_zeros():
        raise RuntimeError("within")
    assert small() > 0


def test_who_had_them_as_zeros_before_keeps_it_so():
    torch.set_flush_denormal(True)
    try:
        with denormals_as_zeros():
            pass
        assert small() == 0
    finally:
        torch.set_flush_denormal(False)
