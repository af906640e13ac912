"""Images in rows, side by side: what a unit sees, and what its like in another network does."""

import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from frankenstein.report.style import RC, settled, wrapped
from frankenstein.shapes import ShapeError

_GAP = 1  # pixels between images
_SIDE = 0.52  # of an image, in inches
_QUALITY = 75  # of a strip, of 100: what is lost is not seen in 32 pixels
_THUMBNAIL = 32  # pixels; a sprite of 500 is then 736 pixels wide, small enough for any browser


@rc_context(RC)
def image_grid(
    blocks: Mapping[str, Tensor],  # name: (R, K, 1 or 3, H, W), uint8
    rows: Sequence[str],  # R names
    title: str = "",
) -> Figure:
    """A row of images for each name in every block; blocks stand side by side under their names.

    Raises:
        ShapeError: if a block has not one row of uint8 images for each name.
    """
    for name, images in blocks.items():
        if images.ndim != 5 or len(images) != len(rows) or images.dtype != torch.uint8:
            raise ShapeError(
                f"block {name!r} must be uint8 images ({len(rows)}, K, 1 or 3, H, W), got "
                f"{images.dtype} of shape {tuple(images.shape)}"
            )
    mosaics = [_mosaic(images.cpu()) for images in blocks.values()]
    widths = [images.shape[1] * _SIDE for images in blocks.values()]
    names = 0.075 * max(map(len, rows)) + 0.3
    size = (sum(widths) + 0.25 * len(widths) + names, len(rows) * _SIDE + 0.75)
    figure = Figure(figsize=size)
    grid = figure.subplots(1, len(mosaics), squeeze=False, width_ratios=widths)[0]
    for axes, name, mosaic in zip(grid, blocks, mosaics, strict=True):
        axes.imshow(mosaic, interpolation="nearest")
        axes.set_title(name, fontsize=9)
        axes.spines[:].set_visible(False)
        axes.set(xticks=[], yticks=[])
    height = mosaics[0].shape[0] / len(rows)
    grid[0].set_yticks([(i + 0.5) * height for i in range(len(rows))], rows, fontsize=7.5)
    grid[0].tick_params(length=0)
    if title:
        figure.suptitle(wrapped(title, size[0]), fontsize=10.5)
    return settled(figure)


def thumbnails(
    images: Tensor,  # (N, C, H, W), uint8
) -> Tensor:  # (N, C, S, S), in [0, 1]: add_embedding multiplies by 255 whatever the type
    """Images in the middle of black squares, of 32 pixels at most."""
    height, width = images.shape[2:]
    side = max(height, width)  # a sprite's cells must be square, or TensorBoard's writer fails
    left, top = (side - width) // 2, (side - height) // 2
    edges = (left, side - width - left, top, side - height - top)
    square = functional.pad(images.float() / 255, edges)
    if side <= _THUMBNAIL:
        return square
    size = (_THUMBNAIL, _THUMBNAIL)
    return functional.interpolate(square, size, mode="bilinear", antialias=True)


def strip_webp(
    images: Tensor,  # (K, 1 or 3, H, W), uint8
) -> bytes:
    """Small images in a row, as a WebP file: a third of the bytes of a PNG."""
    small = (thumbnails(images) * 255).round().clamp(0, 255).to(torch.uint8)
    file = io.BytesIO()
    Image.fromarray(_mosaic(small[None])).save(file, "webp", quality=_QUALITY)
    return file.getvalue()


def _mosaic(
    images: Tensor,  # (R, K, 1 or 3, H, W)
) -> NDArray[np.uint8]:  # (R·(H + 1), K·(W + 1), 3)
    """One image of all, with white lines between them."""
    padded = functional.pad(images.expand(-1, -1, 3, -1, -1), (0, _GAP, 0, _GAP), value=255)
    return padded.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1).numpy()
