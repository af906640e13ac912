"""Where a run without a Trainer computes."""

import torch

from frankenstein.errors import UserError


def device_of(accelerator: str) -> torch.device:
    """The device that a word stands for: cpu, gpu, or auto for a GPU if there is one.

    Raises:
        UserError: if this machine does not have that hardware, or there is no such word.
    """
    if accelerator not in ("auto", "cpu", "gpu"):
        raise UserError(f"‹accelerator› takes cpu, gpu or auto here, got {accelerator!r}")
    if accelerator == "gpu" and not torch.cuda.is_available():
        raise UserError("‹accelerator› gpu: this machine has no GPU that torch can use; choose cpu")
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")
