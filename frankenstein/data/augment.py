"""Small random changes of a batch of images: one pass for the batch, independent per image.

Each augmentation is a draw and a geometry. The geometry is a function by itself, equal to
torchvision's for single images.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def random_flip_and_crop(
    images: Tensor,  # (N, C, H, W)
    generator: torch.Generator,
) -> Tensor:  # (N, C, H, W)
    """Mirror half of the images and move each by up to an eighth of its size: 4 of 32 pixels.

    Source: Dr. Frankenstein's CIFAR-10 training, RandomCrop(32, 4) and RandomHorizontalFlip.
    """
    padding = images.shape[-1] // 8
    shape = (len(images),)
    top = torch.randint(2 * padding + 1, shape, generator=generator)
    left = torch.randint(2 * padding + 1, shape, generator=generator)
    mirrored = torch.rand(shape, generator=generator) < 0.5
    device = images.device
    return flip_and_crop(images, top.to(device), left.to(device), mirrored.to(device), padding)


def random_affine(
    images: Tensor,  # (N, C, H, W)
    generator: torch.Generator,
) -> Tensor:  # (N, C, H, W), float
    """Turn by up to 5 degrees, scale by 0.9 to 1.1, shear along x by up to 5 degrees.

    Source: Dr. Frankenstein's MNIST training: Pad(4, edge), RandomAffine(5, scale=(0.9, 1.1),
    shear=5), CenterCrop; here bilinear where that took the nearest pixel.
    """
    draws = torch.rand(3, len(images), generator=generator).mul_(2).sub_(1).to(images.device)
    return affine(images, angle=5 * draws[0], scale=1 + 0.1 * draws[1], shear=5 * draws[2])


def flip_and_crop(
    images: Tensor,  # (N, C, H, W)
    top: Tensor,  # (N,), of 0 ... 2·padding
    left: Tensor,  # (N,), of 0 ... 2·padding
    mirrored: Tensor,  # (N,), bool
    padding: int,
) -> Tensor:  # (N, C, H, W)
    """The window at (top, left) of each image with a border of zeros, mirrored where told."""
    _, channels, height, width = images.shape
    padded = F.pad(images, (padding,) * 4)
    rows = torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device)
    columns = torch.where(mirrored[:, None], columns.flip(0), columns)
    # One flat gather takes a quarter of the time of indexing with four index tensors.
    places = (top[:, None] + rows)[:, :, None] * padded.shape[-1] + (left[:, None] + columns)[
        :, None
    ]
    places = places.flatten(1)[:, None].expand(-1, channels, -1)
    return padded.flatten(2).gather(2, places).view(images.shape)


def affine(
    images: Tensor,  # (N, C, H, H), square
    angle: Tensor,  # (N,), degrees, clockwise
    scale: Tensor,  # (N,)
    shear: Tensor,  # (N,), degrees, along x
) -> Tensor:  # (N, C, H, H), float
    """Turn, scale and shear each image about its centre; its edge pixels go on beyond the edge."""
    angle, shear = angle.deg2rad(), shear.deg2rad()
    sine, cosine, slant = angle.sin(), angle.cos(), shear.tan()
    # The inverse of rotation · shear · scale: from a place in the result to its place in the image.
    x = torch.stack([cosine - sine * slant, sine + cosine * slant], 1) / scale[:, None]
    y = torch.stack([-sine, cosine], 1) / scale[:, None]
    size = images.shape[-1]
    steps = (
        torch.arange(1 - size, size, 2, device=images.device) / size
    )  # pixel centres in -1 ... 1
    # torch's affine_grid spends ten times as long as these two sums.
    grid = torch.stack(
        [(z[:, 1, None] * steps)[:, :, None] + (z[:, :1] * steps)[:, None] for z in (x, y)], -1
    )
    return F.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
