"""Jobs of a sweep as tasks of Ray (extra ``ray``): on a cluster that runs already, or on a Ray of this machine."""

import logging
import os
import secrets
import signal
import socket
import tempfile
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from tsmtl.config.errors import FailedError, UserError, first_line
from tsmtl.config.launcher_settings import RaySettings
from tsmtl.sweep.job import Job, Outcome
from tsmtl.sweep.on_node import OnNode, ProgressReader
from tsmtl.sweep.process import STOPPING

log = logging.getLogger(__name__)
ANSWER = 10.0  # seconds; Ray itself tries for minutes
STORE = 100 * 2**20  # bytes of Ray's shared memory, of which two words per job are used


def _run(work: OnNode) -> tuple[str, str]:
    return work()


class Ray:
    """A Ray cluster; see :class:`tsmtl.sweep.cluster.Cluster`.

    Args:
        settings: The launcher's.

    Raises:
        UserError: If nobody answers at the address.
    """

    patience = STOPPING

    def __init__(self, settings: RaySettings) -> None:
        self.settings = settings
        host, colon, port = (settings.address or "").rpartition(":")
        if colon and port.isdecimal() and "/" not in host:
            try:
                socket.create_connection((host, int(port)), timeout=ANSWER).close()
            except (OSError, OverflowError) as error:
                raise UserError(f"hydra.launcher.address: nobody answers at {settings.address} ({error})") from error
        self._open = ExitStack()

    def __enter__(self) -> "Ray":
        """Join the cluster, or start one.

        Raises:
            FailedError: If there is no cluster at the address, or Ray does not start.
        """
        handler = signal.getsignal(signal.SIGTERM)
        try:
            self._start_own() if self.settings.address is None else self._join(self.settings.address)
        finally:
            signal.signal(signal.SIGTERM, handler)  # Ray puts its own there, which ends the process
        self._open.callback(ray.shutdown)
        s = self.settings
        options: dict[str, Any] = {"num_cpus": s.cpus, "num_gpus": s.gpus, "max_retries": s.retries}
        if s.mem is not None:
            options["memory"] = int(s.mem * 2**30)
        self._task = ray.remote(**options)(_run)
        if not self._fitting():
            said = f"a job asks for {s.cpus} cores, {s.gpus:g} GPUs" + ("" if s.mem is None else f" and {s.mem:g} GB")
            if s.address is None:
                raise FailedError(f"{said}, and this machine does not have them (hydra.launcher.cpus, gpus, mem)")
            log.warning("%s, and no machine of the cluster has them now; the jobs wait for one", said)
        return self

    def _start_own(self) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody is told of it
        # Without a token here, one that all of the user's clusters share would be written into the home folder.
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
        logging.getLogger("ray._private.authentication").setLevel(logging.ERROR)  # it warns that there is a token
        # The paths of its sockets may have 107 letters; where TMPDIR leads may take too many of them.
        short = "/tmp" if Path("/tmp").is_dir() else None
        place = self._open.enter_context(
            tempfile.TemporaryDirectory(prefix="ray-", dir=short, ignore_cleanup_errors=True)
        )
        cores = None if self.settings.n_jobs is None else self.settings.n_jobs * self.settings.cpus
        try:
            ray.init(
                address="local",
                num_cpus=cores,
                object_store_memory=STORE,
                include_dashboard=False,
                log_to_driver=False,
                configure_logging=False,
                _temp_dir=place,
            )
        except Exception as error:  # it has no kind of its own for all that can go wrong
            raise FailedError(f"Ray does not start: {first_line(error)}") from error

    def _join(self, address: str) -> None:
        try:
            ray.init(address=address, log_to_driver=False, configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise FailedError(f"hydra.launcher.address: no Ray cluster at {address} ({first_line(error)})") from error

    def __exit__(self, *error: object) -> None:
        """Leave it; a Ray of our own ends."""
        self._open.close()

    def room(self) -> int:
        """As the settings say, or as many as the machines have cores, GPUs and memory for now."""
        return self.settings.n_jobs or max(1, self._fitting())

    def _fitting(self) -> int:
        asked = {"CPU": self.settings.cpus, "GPU": self.settings.gpus, "memory": (self.settings.mem or 0) * 2**30}
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        return sum(min(int(has.get(kind, 0) // n) for kind, n in asked.items() if n) for has in machines)

    def submit(self, job: Job, place: Path) -> "RaySubmission":
        """Hand a job to Ray."""
        assert job.folder is not None, "a job runs in its folder"
        ProgressReader(job.folder).remove()
        return RaySubmission(self._task.remote(OnNode(job.message(), str(place), self.settings.cpus)))


class RaySubmission:
    """A job in Ray's hands; see :class:`tsmtl.sweep.cluster.Submission`.

    Args:
        task: Ray's reference to what it gives.
    """

    def __init__(self, task: Any) -> None:
        self.task = task

    def outcome(self) -> Outcome | None:
        """Give how it ended."""
        if not ray.wait([self.task], timeout=0)[0]:
            return None
        try:
            return Outcome(*ray.get(self.task))
        except TaskCancelledError:
            return Outcome("cut", "cancelled")
        except RayTaskError as error:
            return Outcome("killed", f"Ray: {type(error.cause).__name__}: {first_line(error.cause)}")
        except RayError as error:
            return Outcome("killed", f"Ray: {type(error).__name__}: {first_line(error)}")

    def cancel(self) -> None:
        """Take it from the queue, or ask it to end."""
        with suppress(RayError):
            ray.cancel(self.task)
