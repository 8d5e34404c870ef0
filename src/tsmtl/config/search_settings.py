"""Settings of ``hydra/sweeper=tsmtl_optuna``, which searches instead of trying every combination."""

from typing import Annotated, Any, Literal

from pydantic import Field

from tsmtl.config.section import Count, Section, Text


class SearchSettings(Section):
    """Settings under ``hydra.sweeper``."""

    n_trials: Count = Field(description="trials of the whole study; the same command goes on up to so many")
    sampler: Literal["tpe", "random"] = Field(description="how trials are chosen")
    seed: Annotated[int, Field(ge=0, lt=2**32)] = Field(description="of the sampler")
    objectives: list[Text] = Field(description="two or more val/<task>/<metric>; empty: trainer.monitor alone")
    pruner: Literal["none", "median", "successive_halving"] = Field(description="ends hopeless trials early")
    pruner_warmup: Count = Field(description="epochs that every trial gets")
    max_failed: Count = Field(description="failed trials after which the search ends")
    storage: Text = Field(description="journal, sqlite, or the URL of a database that several machines reach")
    params: dict[str, Any] = Field(description="searched settings, as from the command line")

    @property
    def prunes(self) -> bool:
        """Whether trials may be ended early."""
        return self.pruner != "none"
