"""Anybody's images, in folders named after their classes."""

import os
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path

import torch
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS

from frankenstein.data.files import ImageFiles, central_square, squashed
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
        files = [
            (path, number)
            for name, number in numbers.items()
            for path in _images(folder / name, {*map(os.path.realpath, self._ways_back(folder))})
        ]
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
        if how.squash:
            view = partial(squashed, size=self.resize, resampling=how.resampling)
        names = [str(Path(path).relative_to(folder)) for path, _ in files]
        return ImageFiles(folder, names, view), labels

    def _ways_back(self, folder: Path) -> Iterator[Path]:
        """Where a link inside a class may not lead: to the data set, its part, its classes."""
        yield from (self.data_root, folder, *(folder / name for name in self.classes))

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
        if odd := [name for name in names if not name.isprintable()]:
            raise DataError(
                f"{self.name}: {folder} has a class called {odd[0]!r}; give folders names that can "
                "be printed in one line"
            )
        return names


def _images(folder: Path, seen: set[str]) -> list[str]:
    """The paths of a class's images, in order, each once: links may lead in circles."""
    found: list[tuple[str, list[str]]] = []
    links: set[str] = set()
    own = os.path.realpath(folder) + os.sep
    for place, folders, names in os.walk(folder, followlinks=True):
        real = {name: os.path.realpath(os.path.join(place, name)) for name in folders}
        folders[:] = [name for name in folders if real[name] not in seen]
        seen.update(real.values())
        images = []
        for name in names:
            if not _is_named_image(name):
                continue
            path = os.path.join(place, name)
            if os.path.islink(path):
                target = os.path.realpath(path)
                if target in links or (target.startswith(own) and _is_image(target)):
                    continue
                links.add(target)
            images.append(name)
        found.append((place, sorted(images)))
    return [os.path.join(place, name) for place, names in sorted(found) for name in names]


def _is_named_image(path: str) -> bool:
    return path.lower().endswith(IMG_EXTENSIONS)


def _is_image(path: str) -> bool:
    """Whether a file is listed by its own name; what is not there is no image."""
    return _is_named_image(path) and os.path.isfile(path)
