"""The statistics that a network keeps of its data, counted anew on training images."""

import math

import torch
from torch import Tensor, nn

from frankenstein.data import ImageData
from frankenstein.data.examples import called
from frankenstein.data.text import Text
from frankenstein.errors import UserError

_IMAGES = 1000
_NUMBERS = 2**24  # of all images together: 111 of them where they are large, so that maps fit


@torch.no_grad()
def count_statistics(
    network: nn.Module,
    images: Tensor,  # (N, C, H, W), as the network sees them
) -> nn.Module:
    """Set the statistics of every BatchNorm to those of what it is given; nothing is learned.

    All images go through as one batch. Every normalisation that keeps a running mean and variance,
    in the order in which they are called, takes those of its input, over all examples and places,
    and normalises by them. So each is given what the layers before it make with
    their new statistics, and what it was counted on comes out with mean 0 and variance 1: the means
    of batches' own statistics, as training keeps them, do neither. One that is called several times
    has the statistics of all its calls so far. Variances are divided by N, as in training.

    The network itself changes, and is in evaluation mode. Images and network lie on one device.
    """
    seen: dict[nn.Module, list[tuple[int, Tensor, Tensor]]] = {}

    def count(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        z = inputs[0].flatten(2) if inputs[0].ndim > 2 else inputs[0][..., None]
        mean = z.mean(2).double().mean(0)
        centred = z - mean.to(z)[:, None]
        square = torch.linalg.vector_norm(centred, dim=2).double().square().sum(0)
        calls = seen.setdefault(norm, [])
        calls.append((z.shape[0] * z.shape[2], mean, square))
        n = sum(size for size, *_ in calls)
        mean = torch.stack([size / n * one for size, one, _ in calls]).sum(0)
        squares = [square + size * (one - mean).square() for size, one, square in calls]
        norm.running_mean.copy_(mean)  # type: ignore[operator]
        norm.running_var.copy_(torch.stack(squares).sum(0) / n)  # type: ignore[operator]

    network.eval()
    hooks = [norm.register_forward_pre_hook(count) for norm in _counting(network)]
    try:
        if hooks:
            called(network, images)
    finally:
        for hook in hooks:
            hook.remove()
    return network


def keeps_statistics(network: nn.Module) -> bool:
    """Whether there is anything to count."""
    return bool(_counting(network))


def counting_images(
    data: ImageData,
    network: nn.Module,
    look: nn.Module | None = None,  # of `look_of`
) -> Tensor:
    """What `count_statistics` is to see: training images, prepared, on the network's device.

    A fixed random choice of 1,000, or of 16.8 million numbers where images are large; the same on
    every process.
    """
    if isinstance(data, Text):
        if keeps_statistics(network):
            raise UserError("BatchNorm of untrained networks is not counted on padded sentences")
        return torch.empty(0, device=next((one.device for one in network.parameters()), None))
    shape = getattr(network, "input_shape", None)
    numbers = data.blank(1).numel() if shape is None else math.prod(shape)
    batches = data.train_batches(max(2, min(_IMAGES, _NUMBERS // numbers)))
    rows, images = torch.cat([*batches.order(0)]), batches.images
    chosen = images.index_select(0, rows) if isinstance(images, Tensor) else images[rows]
    device = next((one.device for one in network.parameters()), torch.device("cpu"))
    prepared = data.prepare(chosen).to(device)
    return prepared if look is None else look(prepared)


def _counting(network: nn.Module) -> list[nn.Module]:
    return [
        module
        for module in network.modules()
        if isinstance(module, nn.modules.batchnorm._NormBase) and module.running_mean is not None
    ]
