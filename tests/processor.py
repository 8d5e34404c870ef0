"""What tests want of the processor."""

import pytest
import torch

from tsmtl.models.precision import NO_BF16, takes_bf16

needs_bf16 = pytest.mark.skipif(not takes_bf16(torch.device("cpu")), reason=NO_BF16)
