"""The commands of SLURM that submitit calls, on one machine: jobs are scripts in the background.

Under the names sbatch, srun, sacct, scancel and scontrol, and daemon, which is one job. What is known of a job lies in
files of the folder SLURM:
<id>.sh, <id>.state, <id>.pid (of its step).
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

PLACE = Path(os.environ["SLURM"])


def sbatch(script: str) -> None:
    text = Path(script).read_text()
    if "--partition=nowhere" in text:
        sys.exit("sbatch: error: invalid partition specified: nowhere\nsbatch: error: Batch job submission failed")
    number = str(100 + len(list(PLACE.glob("*.sh"))))
    (PLACE / f"{number}.sh").write_text(text)
    (PLACE / f"{number}.state").write_text("PENDING")
    quiet = subprocess.DEVNULL
    subprocess.Popen(
        [Path(__file__).with_name("daemon"), number], stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
    )
    sys.stdout.write(f"Submitted batch job {number}\n")


def daemon(number: str) -> None:
    state, again = PLACE / f"{number}.state", PLACE / f"{number}.again"
    while True:
        state.write_text("RUNNING")
        environment = {**os.environ, "SLURM_JOB_ID": number}
        code = subprocess.run(["bash", PLACE / f"{number}.sh"], env=environment, check=False).returncode
        if not again.exists():
            break
        again.unlink()
    if state.read_text() == "RUNNING":
        state.write_text("FAILED" if code else "COMPLETED")


def srun(*arguments: str) -> None:
    options, command, number = list(arguments), [], os.environ["SLURM_JOB_ID"]
    while options and not command:
        option = options.pop(0)
        if option in ("--output", "--error"):
            path = options.pop(0).replace("%j", number).replace("%t", "0")
            os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1 if option == "--output" else 2)
        elif not option.startswith("--"):
            command = [option, *options]
    (PLACE / f"{number}.pid").write_text(str(os.getpid()))
    os.execvp(command[0], command)


def sacct(*arguments: str) -> None:
    sys.stdout.write("JobID|State|NodeList\n")
    for number in arguments[arguments.index("-j") + 1 :: 2]:
        with suppress(OSError):
            sys.stdout.write(f"{number}|{(PLACE / f'{number}.state').read_text()}|here\n")


def scancel(number: str) -> None:
    (PLACE / f"{number}.state").write_text("CANCELLED by 1000")
    with suppress(OSError):  # not begun yet, or ended
        step = int((PLACE / f"{number}.pid").read_text())
        os.kill(step, signal.SIGTERM)
        end = time.monotonic() + 30
        while Path(f"/proc/{step}/task/{step}/children").read_text() and time.monotonic() < end:
            time.sleep(0.05)
        os.kill(step, signal.SIGKILL)


def scontrol(word: str, number: str) -> None:
    (PLACE / f"{number}.again").touch()


if __name__ == "__main__":
    globals()[Path(sys.argv[0]).name](*sys.argv[1:])
