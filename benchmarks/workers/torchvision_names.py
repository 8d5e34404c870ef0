"""Lets torchvision be imported beside a torch that it was not built for; to be imported before what imports it.

fastai and Lightning import torchvision for its names. A build for CUDA does not load its operators beside a torch for
the CPU, and fails at these two, which nothing here calls.
"""

import torch

OPERATORS = torch.library.Library("torchvision", "FRAGMENT")

try:
    import torchvision  # noqa: F401
except RuntimeError:
    for name in ("nms", "qnms"):
        OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
