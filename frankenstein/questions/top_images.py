"""The images that units, or groups of them, answer to most, out of the pass that is done anyway."""

import torch
from torch import Tensor

from frankenstein.questions.subject import Subject
from frankenstein.report.image_grid import thumbnails


def top_images(
    subject: Subject,
    values: Tensor,  # (G, N), what each makes of the held-out images
    most: int,
) -> Tensor | None:  # (G, K, C, H, W), uint8
    """The held-out images of each one's largest values, small; None where nothing can be shown."""
    if not len(values):
        return None
    rows = values.topk(min(most, values.shape[1]), dim=1).indices
    pictures = [subject.pictures("val", of_one) for of_one in rows]
    small = [thumbnails(one) for one in pictures if one is not None]
    return (255 * torch.stack(small)).round().to(torch.uint8).cpu() if small else None
