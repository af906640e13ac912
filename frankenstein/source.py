"""Where a network comes from, in one word: the same in a shell, in YAML and in Python."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from frankenstein.catalog import ARCHITECTURES, filled
from frankenstein.errors import UserError
from frankenstein.records import shown

GRAMMAR = (
    "FILE, a name of the zoo, torchvision/NAME, timm/NAME, hf/NAME or hf/FOLDER, "
    "package.module:factory or FILE.py:factory; behind it @WEIGHTS or #SEED"
)
Kind = Literal["file", "zoo", "torchvision", "timm", "hf", "code"]

_CODE = re.compile(r"(?P<module>[^\W\d]\w*(?:\.[^\W\d]\w*)*|.+\.py):(?P<factory>[^\W\d][\w.]*)")
_LIBRARIES: tuple[Kind, ...] = ("torchvision", "timm", "hf")


@dataclass(frozen=True)
class Source:
    """One network: what makes it, and where its weights are from, if not from there as well."""

    kind: Kind
    name: str  # a path, a name of the zoo or of the library, or "module:factory"
    weights: str | None = None  # a file
    seed: int | None = None  # of random weights

    @property
    def path(self) -> Path | None:
        """The file or folder on this machine that it names, code included; None without one."""
        if self.kind == "code":
            module = self.name.rpartition(":")[0]
            return Path(module) if module.endswith(".py") else None
        if self.kind == "file" or (self.kind == "hf" and Path(self.name).is_dir()):
            return Path(self.name)
        return None

    @property
    def label(self) -> str:
        """What makes it, as `parse_source` reads it."""
        return f"{self.kind}/{self.name}" if self.kind in _LIBRARIES else self.name

    def __str__(self) -> str:
        weights = "" if self.weights is None else f"@{self.weights}"
        return self.label + weights + ("" if self.seed is None else f"#{self.seed}")


def parse_source(text: str) -> Source:
    """What a word of the command line, a field of a plan or an argument in Python names.

    A file that is there under exactly that name is that file, whatever its name says.

    Raises:
        UserError: if it names weights and a seed, or a file with either.

    >>> parse_source("timm/vit_tiny_patch16_224@runs/best.pth.tar")
    Source(kind='timm', name='vit_tiny_patch16_224', weights='runs/best.pth.tar', seed=None)
    >>> parse_source("my_nets.py:small#3")
    Source(kind='code', name='my_nets.py:small', weights=None, seed=3)
    >>> str(parse_source("hf/google/vit-base-patch16-224"))
    'hf/google/vit-base-patch16-224'
    """
    if _is_there(text):
        return Source("file", text)
    rest, seed = text, None
    if match := re.fullmatch(r"(.+)#(\d{1,18})", text):
        rest, seed = match[1], int(match[2])
    head, at, weights = rest.partition("@")
    kind, name = _made_by(head)
    if kind == "file":
        if seed is None and not at:
            return Source("file", text)
        if not at and _is_there(rest):
            raise UserError(
                f"{rest} has its weights, and #{seed} asks for random ones; leave it out"
            )
        raise UserError(
            f"{shown(head)} makes no network, got {shown(text)}; a network is {GRAMMAR}"
        )
    if at and not weights:
        raise UserError(f"{shown(text)} names no file behind @; a network is {GRAMMAR}")
    if at and seed is not None:
        raise UserError(
            f"{shown(text)} names weights and a seed of random ones; leave one of the two out"
        )
    return Source(kind, name, weights or None, seed)


def names_code(text: str) -> str | None:
    """The user's own code that opening this would run, "module:factory"; None if it runs none.

    >>> names_code("my_nets.py:small#0"), names_code("hf/you/net"), names_code("cuda:0")
    ('my_nets.py:small', None, None)
    """
    head = re.sub(r"#\d+$", "", text).partition("@")[0]
    kind, name = _made_by(head)
    if kind != "code" or _is_there(text):
        return None
    return name


def _is_there(text: str) -> bool:
    """Whether it names a file, or a folder that is not called as a network is."""
    return Path(text).is_file() or (Path(text).is_dir() and _made_by(text)[0] == "file")


def _made_by(head: str) -> tuple[Kind, str]:
    for library in _LIBRARIES:
        if head.startswith(f"{library}/") and head != f"{library}/":
            return library, head.removeprefix(f"{library}/")
    if any(filled(pattern, head) is not None for pattern in ARCHITECTURES):
        return "zoo", head
    if _CODE.fullmatch(head):
        return "code", head
    return "file", head
