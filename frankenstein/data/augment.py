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
    padded, device = F.pad(images, (padding,) * 4), images.device
    return crop_and_flip(
        padded, images.shape[-1], top.to(device), left.to(device), mirrored.to(device)
    )


def random_crop_and_flip(
    images: Tensor,  # (N, C, H, H), square
    size: int,
    generator: torch.Generator,
) -> Tensor:  # (N, C, size, size)
    """A window of each image anywhere in it; half of them mirrored."""
    mirrored = torch.rand(len(images), generator=generator) < 0.5
    return _random_crop(images, size, mirrored, generator)


def random_crop_and_turn(
    images: Tensor,  # (N, C, H, H), square
    size: int,
    generator: torch.Generator,
) -> Tensor:  # (N, C, size, size), float
    """A window of each image anywhere in it, turned by up to 10 degrees.

    Source: Dr. Frankenstein's CelebA training: RandomCrop(224), Pad(10, edge), RandomRotation(10),
    CenterCrop(224); here bilinear where that took the nearest pixel.
    """
    angle = torch.rand(len(images), generator=generator).mul_(20).sub_(10).to(images.device)
    crops = _random_crop(images, size, torch.zeros(len(images), dtype=torch.bool), generator)
    return affine(crops, angle, scale=torch.ones_like(angle), shear=torch.zeros_like(angle))


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


def centre_crop(images: Tensor, size: int) -> Tensor:
    """The middle of each image, as torchvision's CenterCrop takes it; nothing if it is that size.

    >>> centre_crop(torch.arange(5).expand(1, 1, 5, 5), 3)[0, 0, 0]
    tensor([1, 2, 3])
    """
    top, left = (round((side - size) / 2) for side in images.shape[-2:])
    return images[..., top : top + size, left : left + size]


def crop_and_flip(
    images: Tensor,  # (N, C, H, W)
    size: int,
    top: Tensor,  # (N,), of 0 ... H - size
    left: Tensor,  # (N,), of 0 ... W - size
    mirrored: Tensor,  # (N,), bool
) -> Tensor:  # (N, C, size, size)
    """The window at (top, left) of each image, mirrored where told."""
    channels, width = images.shape[1], images.shape[3]
    rows = columns = torch.arange(size, device=images.device)
    columns = torch.where(mirrored[:, None], columns.flip(0), columns)
    # One flat gather takes a quarter of the time of indexing with four index tensors.
    places = (top[:, None] + rows)[:, :, None] * width + (left[:, None] + columns)[:, None]
    places = places.flatten(1)[:, None].expand(-1, channels, -1)
    return images.flatten(2).gather(2, places).view(len(images), channels, size, size)


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


def _random_crop(images: Tensor, size: int, mirrored: Tensor, generator: torch.Generator) -> Tensor:
    room = images.shape[-1] - size + 1
    top, left = torch.randint(room, (2, len(images)), generator=generator).to(images.device)
    return crop_and_flip(images, size, top, left, mirrored.to(images.device))
