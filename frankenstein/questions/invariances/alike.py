"""Images that a layer cannot tell from others: inputs of one representation."""

import torch
from torch import Tensor, nn

from frankenstein.errors import UserError

_RATE = 0.05  # of the range of a pixel, at the first step
_CHUNK = 50  # images at once: each is by itself, so it changes nothing but memory


@torch.enable_grad()
def made_alike(
    front: nn.Module,  # images to a representation (N, ...), frozen
    start: Tensor,  # (N, C, H, W)
    goal: Tensor,  # (N, C, H, W)
    black: Tensor,  # (1, C, H, W), the least that a pixel may be
    white: Tensor,  # (1, C, H, W), the most
    steps: int = 150,
) -> tuple[Tensor, Tensor]:  # (N, C, H, W), (N,)
    """Images that begin as `start` and end where `front` gives what it gives of `goal`.

    Beside them, for each, what is left of the squared distance between the two representations: 0
    where it got there, 1 where it got nowhere; 0 where there was none from the start, as of a layer
    that is constant. Pixels stay between black and white. By Adam, whose rate falls to 0.

    Source: Feather et al. 2019 (model metamers), https://papers.nips.cc/paper/9198; from another
    image in place of noise Nanda et al. 2022, https://arxiv.org/abs/2206.11939, section 3.

    Raises:
        UserError: if a representation holds NaN or Inf.
    """
    parts = [
        _part(front, one, other, black, white, steps)
        for one, other in zip(start.split(_CHUNK), goal.split(_CHUNK), strict=True)
    ]
    images, left = zip(*parts, strict=True)
    return torch.cat(images), torch.cat(left)


def _part(
    front: nn.Module, start: Tensor, goal: Tensor, black: Tensor, white: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        wanted = front(goal)
        apart = _distance(front(start), wanted)
    if not apart.isfinite().all():
        raise UserError("NaN or Inf in a representation; look at the network that made it")
    # Each image by its own distance, so that none waits for another; a distance of 0 stays 0.
    apart = apart.clamp(min=torch.finfo(apart.dtype).tiny)
    pixels = ((start - black) / (white - black)).requires_grad_()
    optimizer = torch.optim.Adam([pixels], _RATE)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, steps)
    for _ in range(steps):
        loss = (_distance(front(black + pixels * (white - black)), wanted) / apart).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            pixels.clamp_(0, 1)
    images = (black + pixels * (white - black)).detach()
    with torch.no_grad():
        return images, _distance(front(images), wanted) / apart


def _distance(z: Tensor, wanted: Tensor) -> Tensor:  # (N,)
    return (z - wanted).flatten(1).square().sum(1)
