"""What torchrun says in the environment to each process that it starts."""

import os
from dataclasses import dataclass

from tsmtl.config.errors import UserError

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Place:
    """This process among those of one training.

    Attributes:
        rank: Its number.
        size: How many there are.
        local_rank: Its number among those of this machine.
    """

    rank: int
    size: int
    local_rank: int


def place() -> Place | None:
    """Give the place of this process; None where torchrun has not started it, or has started no other."""
    if any(name not in os.environ for name in VARIABLES):
        return None
    found = Place(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK")))
    return found if found.size > 1 else None


def is_another() -> bool:
    """Say whether another process than this one, rank 0, speaks for all."""
    here = place()
    return here is not None and here.rank > 0


def with_devices(arguments: list[str]) -> list[str]:
    """Add ``devices`` to what the user typed: the number of processes that torchrun has started, if it has.

    Raises:
        UserError: If another number was typed, or a sweep.
    """
    here = place()
    if here is None:
        return arguments
    if {"-m", "--multirun", "hydra.mode=MULTIRUN"} & {*arguments}:
        raise UserError(
            "-m: torchrun starts the processes of one run; a sweep starts its own, with devices=N in each job"
        )
    said = f"devices={here.size}"
    for argument in arguments:
        if argument.lstrip("+").startswith("devices=") and argument.lstrip("+") != said:
            raise UserError(f"devices: {argument} contradicts torchrun, which has started {here.size} processes")
    return [*(argument for argument in arguments if argument.lstrip("+") != said), said]
