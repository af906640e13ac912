"""Images in files, decoded when a batch asks for them: as many as a disk holds."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from frankenstein.data.errors import DataError

View = Callable[[Image.Image], Image.Image]
_THREADS = min(16, os.cpu_count() or 1)


class ImageFiles:
    """Image files that are indexed like a tensor (N, 3, H, W) and hold nothing but their names.

    Each batch is decoded by several threads: PIL lets go of Python's lock in decoding and resizing.
    (torchvision's own decoders are deprecated since 0.29.)
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str],  # of files in the folder
        view: View,  # from an RGB image of any size to the square of pixels that is seen of it
    ) -> None:
        self.folder, self.view = folder, view
        self.names = np.array(names, dtype=object)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """The images of these rows, (n, 3, H, W) as uint8.

        Raises:
            DataError: if a file is absent or is not an image.
        """
        names = self.names[rows.numpy() if isinstance(rows, Tensor) else rows]
        with ThreadPoolExecutor(_THREADS) as threads:
            pixels = np.stack(list(threads.map(self._pixels, names)))
        return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()

    def _pixels(self, name: str) -> np.ndarray:  # (H, W, 3)
        try:
            with Image.open(self.folder / name) as file:
                image = file.convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(
                f"{self.folder / name} cannot be read ({' '.join(str(error).split())}); "
                "get it anew, or leave it out"
            ) from None
        return np.asarray(self.view(image))


def central_square(
    image: Image.Image, size: int, crop: int, resampling: Image.Resampling
) -> Image.Image:
    """The shorter side resized to `size`, then the square of that size in the middle.

    Its own centre of `crop` pixels is where torchvision's Resize(size) and CenterCrop(crop) end
    up, to the pixel, for `centre_crop` to cut out; the margin is room for random crops.
    """
    short, long = sorted(image.size)
    width, height = (int(size * side / short) if side == long else size for side in image.size)
    image = image.resize((width, height), resampling)
    margin = round((size - crop) / 2)
    left, top = (round((side - crop) / 2) - margin for side in image.size)
    return image.crop((left, top, left + size, top + size))


def squashed(image: Image.Image, size: int) -> Image.Image:
    """Both sides resized to `size`, whatever their ratio was."""
    return image.resize((size, size), Image.Resampling.BILINEAR)
