"""Adam as PyTorch has written it, without what imports its compiler: for the weights of tasks and of the network."""

import inspect

import torch


class NotCompiled:
    """Methods of an optimiser without what PyTorch wraps them in for ``torch.compile``.

    The wrappers import the compiler at the first call, which takes as long as importing the rest of PyTorch.
    """

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)


class Adam(NotCompiled, torch.optim.Adam):
    """PyTorch's; AdamW is this with ``decoupled_weight_decay``."""

    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))
