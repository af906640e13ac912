"""What a worker does with a job: a child for it, stopped when the worker or the client is."""

from typing import Any

from distributed import get_worker
from distributed.core import Status

from frankenstein.studies.cluster.child import Answer, Child, Job

ATTEMPTS = 3  # of a run whose process is killed: by somebody, or for want of memory
_OFTEN = 0.2  # seconds between looks


def run_in_child(job: Job) -> Answer:
    """The answer of a child; of one that was killed, after it was begun again.

    It runs in a thread of the worker, which nobody can stop: so it looks itself, whether the task
    was cancelled, or the worker is closing or has lost the scheduler.
    """
    worker: Any = get_worker()
    key = worker.get_current_task()
    answer: Answer = {}
    for _ in range(ATTEMPTS):
        child = Child(job)
        while not child.wait(_OFTEN):
            if _is_over(worker, key):
                child.stop()
        answer = child.answer()
        if "killed" not in answer:
            return answer
    return {
        "failure": f"its process was killed {ATTEMPTS} times (signal {answer['killed']}); "
        f"if by the system, for want of memory; see {job['log']}"
    }


def _is_over(worker: Any, key: str) -> bool:
    task = worker.state.tasks.get(key)
    return worker.status not in (Status.running, Status.paused) or (
        task is None or task.state in ("cancelled", "released", "forgotten")
    )
