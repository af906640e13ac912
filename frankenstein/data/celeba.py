"""CelebA: 202,599 faces of famous people, each with or without each of 40 attributes."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from frankenstein.data.augment import random_crop_and_turn
from frankenstein.data.files import ImageFiles, squashed
from frankenstein.data.images import Photographs
from frankenstein.errors import DataError

_PARTS = {"train": "0", "test": "2"}  # 1 are the 19,867 faces of "valid"
_ANY_PART = (["0"], ["1"], ["2"])
_SIGNS = {"1", "-1"}
_PIXELS = "img_align_celeba"


class CelebA(Photographs):
    """162,770 faces to train with and 19,962 held out: "train" and "test" of the published split.

    Its "valid" faces are left for choosing between runs; no run here reads them. Preprocessed as in
    Dr. Frankenstein: resized to 256x256, cropped to 224x224, pixels (0 to 255) less 117.

    Source: Liu et al. 2015, http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html.
    """

    name = "CelebA"
    classes = (
        "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs",
        "Big_Lips", "Big_Nose", "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair",
        "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses", "Goatee", "Gray_Hair",
        "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache",
        "Narrow_Eyes", "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline",
        "Rosy_Cheeks", "Sideburns", "Smiling", "Straight_Hair", "Wavy_Hair", "Wearing_Earrings",
        "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace", "Wearing_Necktie", "Young",
    )  # fmt: skip
    num_classes = len(classes)
    multilabel = True
    mean, std = (117 / 255,) * 3, (1 / 255,) * 3
    published: ClassVar[Mapping[str, int]] = {  # faces of each part, one after another
        "0": 162_770,
        "1": 19_867,
        "2": 19_962,
    }

    def augment(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Random windows, each turned by up to 10 degrees."""
        return random_crop_and_turn(images, self.image_size, generator)

    def load(self, split: str) -> tuple[ImageFiles, Tensor]:
        """The files of this part, of which none is opened, and their attributes."""
        names, labels = self._listed(_PARTS[split])
        folder = self._folder / _PIXELS
        there = set(os.listdir(folder)) if folder.is_dir() else set()
        if absent := [name for name in names if name not in there]:
            raise self._absent(f"{_PIXELS}/{absent[0]} ({len(absent)} of {len(names)} images)")
        return ImageFiles(folder, names, partial(squashed, size=self.resize)), labels

    def _listed(self, part: str) -> tuple[list[str], Tensor]:
        """The names of the images of a part, and their attributes (N, 40)."""
        parts = [line.split() for line in self._lines("list_eval_partition.txt")]
        lines = self._lines("list_attr_celeba.txt")  # how many, the attributes, then the images
        header, attributes = lines[1:2], lines[2:]
        if len(parts) == sum(self.published.values()):
            self._check_published([place[-1:] for place in parts])
        fits = len(parts) == len(attributes) and " ".join(header).split() == [*self.classes]
        fits = fits and lines[0].strip() == str(len(attributes))
        names, rows = [], []
        for place, line in zip(parts, attributes, strict=False):
            name, *values = line.split() or [""]
            fits = fits and place[:1] == [name] and place[1:] in _ANY_PART
            fits = fits and len(values) == self.num_classes and _SIGNS.issuperset(values)
            if place[1:] == [part]:
                names.append(name)
                rows.append(bytes(value == "1" for value in values))
        if not fits:
            raise DataError(
                f"{self.name}: list_attr_celeba.txt and list_eval_partition.txt in {self._folder} "
                f"do not list {self.num_classes} attributes of the same images; get them anew"
            )
        labels = np.frombuffer(b"".join(rows), np.uint8).astype(np.float32)
        return names, torch.from_numpy(labels).view(-1, self.num_classes)

    def _check_published(self, parts: list[list[str]]) -> None:
        # Whatever else is damaged in the two lists does not fit the other one, or is no attribute.
        if parts != [[part] for part, count in self.published.items() for _ in range(count)]:
            raise DataError(
                f"{self._folder / 'list_eval_partition.txt'} is damaged: it lists as many faces "
                "as were published, and other parts; get it anew"
            )

    @property
    def _folder(self) -> Path:
        return self.data_root / "celeba"

    def _lines(self, name: str) -> list[str]:
        try:
            return (self._folder / name).read_text().splitlines()
        except FileNotFoundError:
            raise self._absent(name) from None
        except UnicodeDecodeError:
            raise DataError(f"{self._folder / name} is damaged: not text; get it anew") from None

    def _absent(self, what: str) -> DataError:
        return DataError(
            f"{self.name}: no {what} in {self._folder}; place list_attr_celeba.txt, "
            f"list_eval_partition.txt and the folder {_PIXELS} from "
            "http://mmlab.ie.cuhk.edu.hk/projects/CelebA.html there, or say ‹data_root› FOLDER for "
            "a folder that holds celeba"
        )
