"""The jobs of a sweep in this process, for tests that ask what comes of them and not who runs them.

A process of a sweep imports PyTorch, which takes longer than ten trainings of a test. What processes do, and what
becomes of jobs whose process dies, is for the tests of tests/sweep that start them.
"""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout

from tsmtl.config.logs import set_up_logs
from tsmtl.run_job import run_job
from tsmtl.storage.shared_folder import folder_to_share
from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.pool import Follower, Pool
from tsmtl.sweep.shared_data import SharedData


class JobsHere(Pool):
    """Runs one job after another, each given and told of in the messages that a process would have."""

    processes = 0  # none starts early either

    def run(self, jobs: Iterator[Job], follower: Follower) -> None:
        """Run all jobs, and tell the follower."""
        with ExitStack() as held:
            if self._folder is not None:
                self._shared = SharedData(held.enter_context(folder_to_share(self._folder.absolute())), self._jobs)
            for job in jobs:
                self._shared.begins(job)
                follower.started(job, 0)

                def tell(event: dict[str, object], job: Job = job) -> None:
                    follower.event(job, 0, json.loads(json.dumps(event)))

                with the_sweeps_log_put_aside(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                    there = Job.from_message(json.loads(json.dumps(job.message())))
                    outcome: Outcome = run_job(there, tell, self._shared.place)
                self._shared.ended(job)
                follower.ended(job, 0, outcome)


@contextmanager
def the_sweeps_log_put_aside() -> Iterator[None]:
    """Keep the handlers of the sweep from its jobs, which have a log of their own and close what was before."""
    root = logging.getLogger()
    handlers = [handler for handler in root.handlers if handler.get_name() == set_up_logs.__module__]
    for handler in handlers:
        root.removeHandler(handler)
    try:
        yield
    finally:
        for handler in handlers:
            root.addHandler(handler)
