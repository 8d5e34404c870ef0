import torch

from tsmtl.training.seeding import seed_everything


def draws(seed: int) -> tuple[list[float], list[int]]:
    generator = seed_everything(seed)
    return torch.rand(5).tolist(), torch.randperm(20, generator=generator).tolist()


def test_a_seed_fixes_weights_and_order():
    assert draws(3) == draws(3)
    assert draws(3)[0] != draws(4)[0]
    assert draws(3)[1] != draws(4)[1]


def test_the_order_of_batches_does_not_depend_on_what_else_was_drawn():
    generator = seed_everything(3)
    torch.rand(100)  # a bigger model draws more
    assert torch.randperm(20, generator=generator).tolist() == draws(3)[1]
