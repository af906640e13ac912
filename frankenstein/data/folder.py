"""Anybody's images, in folders named after their classes."""

from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

from frankenstein.data.files import ImageFiles, central_square
from frankenstein.data.images import Photographs
from frankenstein.data.preprocessing import IMAGENET
from frankenstein.errors import DataError


class Folder(Photographs):
    """Images in `<data-root>/train/<class>/`; those in `val/<class>/`, or else `test/`, held out.

    The layout is that of torchvision's ImageFolder, the preprocessing that of ImageNet or what
    `preprocessing` says: the shorter side resized to 256, the centre cropped to 224, or both in
    that proportion. The classes are the folders in train, in alphabetical order.
    """

    name = "image folder"

    @cached_property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of the folders in train."""
        return self._folders("train")

    @property
    def num_classes(self) -> int:  # type: ignore[override]
        """How many there are."""
        return len(self.classes)

    def load(self, split: str) -> tuple[ImageFiles, Tensor]:
        """The files of this part, of which none is opened."""
        held_out = "val" if (self.data_root / "val").is_dir() else "test"
        part = "train" if split == "train" else held_out
        folder = self.data_root / part
        if unknown := [name for name in self._folders(part) if name not in self.classes]:
            raise DataError(
                f"{self.name}: {folder} has classes that train has not: {', '.join(unknown)}; "
                "give folders of one class one name"
            )
        numbers = {name: number for number, name in enumerate(self.classes)}
        files = make_dataset(str(folder), numbers, IMG_EXTENSIONS, allow_empty=True)
        labels = torch.tensor([number for _, number in files], dtype=torch.long)
        present = {self.classes[number] for number in labels.unique()}
        if part == "train" and (empty := [name for name in self.classes if name not in present]):
            raise DataError(
                f"{self.name}: no images in {folder} of {', '.join(empty)}; put some there "
                f"({', '.join(IMG_EXTENSIONS)}) or take the folder away"
            )
        how = self.preprocessing or IMAGENET
        view = partial(
            central_square, size=self.resize, crop=self.image_size, resampling=how.resampling
        )
        names = [str(Path(path).relative_to(folder)) for path, _ in files]
        return ImageFiles(folder, names, view), labels

    def _folders(self, part: str) -> tuple[str, ...]:
        folder = self.data_root / part
        entries = folder.iterdir() if folder.is_dir() else ()
        names = tuple(sorted(entry.name for entry in entries if entry.is_dir()))
        if not names:
            raise DataError(
                f"{self.name}: no {folder}/<class>/; put images into train/<class>/ and "
                f"val/<class>/ (or test/<class>/) in {self.data_root}, or say ‹data_root› FOLDER "
                "for a folder that has these"
            )
        return names
