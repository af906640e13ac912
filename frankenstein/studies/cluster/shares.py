"""What each run gets of this machine: how many there are at a time, and which GPUs they have."""

import os

import torch

from frankenstein.errors import UserError, counted
from frankenstein.memory import free_memory
from frankenstein.studies.cluster.worker import cores

_MEMORY = 1_000_000_000  # bytes that a run is taken to need, where nobody says how many at a time


def shares_of(workers: int | None, gpus_per_run: int | None, accelerator: str) -> tuple[int, int]:
    """GPUs of a run, and how many runs there are at a time; None is what the machine has.

    Raises:
        UserError: if there are fewer GPUs than these runs take.
    """
    there = 0 if accelerator == "cpu" and not gpus_per_run else len(visible_gpus())
    gpus = min(1, there) if gpus_per_run is None else gpus_per_run
    if workers is None:
        least = free_memory(torch.device("cpu")) // _MEMORY or 1
        workers = max(1, there // gpus if gpus else min(cores(), least))
    if gpus * workers > there:
        raise UserError(
            f"{counted(workers, 'run')} at a time with ‹gpus_per_run› {gpus} take "
            f"{counted(gpus * workers, 'GPU')}, and this machine has {there}; ask for less"
        )
    return gpus, workers


def threads_of(workers: int) -> int:
    """Threads of each run: its share of the cores, and no more than OMP_NUM_THREADS says."""
    share = max(1, cores() // workers)
    said = os.environ.get("OMP_NUM_THREADS", "")
    return min(share, int(said)) if said.isdecimal() and int(said) else share


def visible_gpus() -> list[str]:
    """The GPUs that this process sees, as CUDA_VISIBLE_DEVICES names them."""
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    if named is not None:
        return [one for one in named.split(",") if one.strip()]
    return [str(number) for number in range(torch.cuda.device_count())]
