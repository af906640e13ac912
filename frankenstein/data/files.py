"""Images in files, decoded when a batch asks for them: as many as a disk holds."""

import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from hashlib import blake2b, sha256
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from frankenstein.errors import DataError
from frankenstein.files import FileError, read_sealed, write_sealed

View = Callable[[Image.Image], Image.Image]
Show = Callable[[Sequence[np.ndarray], str], Iterable[np.ndarray]]  # parts of a work, and its name
_THREADS = min(16, os.cpu_count() or 1)
_PART = 256  # files that are read through between two looks at how far it is
_READING = 2  # how they are read: what another version has found whole is read again
# What PIL reads by itself: PostScript, under whatever name, would be run by Ghostscript.
_KINDS = ("JPEG", "PNG", "TIFF", "WEBP", "BMP", "PPM", "GIF", "JPEG2000")
_THIN = 16  # times as long as wide
_ORIENTATION = 0x0112  # of EXIF
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
ABSENT = 0  # the mark of a file that is not there


class ImageFiles:
    """Image files that are indexed like a tensor (N, 3, H, W) and hold nothing but their names.

    Each batch is decoded by several threads: PIL lets go of Python's lock in decoding and resizing.
    (torchvision's own decoders are deprecated since 0.29.)
    """

    def __init__(
        self,
        folder: Path,
        names: Sequence[str] | np.ndarray,  # of files in the folder
        view: View,  # from an RGB image of any size to the square of pixels that is seen of it
    ) -> None:
        self.folder, self.view = folder, view
        self.names = np.array(names, dtype=object)
        self._verified = False  # True once all were read through

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """The images of these rows, (n, 3, H, W) as uint8.

        Raises:
            DataError: if a file is absent or is not an image.
        """
        return torch.from_numpy(self._decoded(rows)).permute(0, 3, 1, 2).contiguous()

    def _decoded(self, rows: Tensor | slice) -> np.ndarray:
        names = self.names[rows.numpy() if isinstance(rows, Tensor) else rows]
        with _silent(), ThreadPoolExecutor(_THREADS) as threads:
            return np.stack(list(threads.map(self._pixels, names)))

    def unreadable(self, show: Show = lambda parts, _: parts) -> list[str]:
        """The files that cannot be read, each with the reason; all are read through to know it.

        Files that were read before and have not changed since are not read again: their paths,
        sizes and dates are kept in `$FRANKENSTEIN_CACHE`, by default ~/.cache/frankenstein. `show`
        may draw a bar around the parts.
        """
        if self._verified:
            return []
        known = remembered(self.folder)
        seen = (mark_of(self.folder, name) for name in self.names)
        marks = np.fromiter(seen, np.uint64, len(self))
        new = np.flatnonzero((marks == ABSENT) | ~np.isin(marks, known))
        damage: list[str] = []
        verified = [known]
        try:
            # Thread by thread for one part after another: a future for each of a million files
            # would take more memory than all else.
            with _silent(), ThreadPoolExecutor(_THREADS) as threads:
                parts = np.split(new, range(_PART, len(new), _PART)) if len(new) else []
                for part in show(parts, "reading each new image once") if parts else ():
                    problems = list(threads.map(self._damage, self.names[part]))
                    damage.extend(text for text in problems if text)
                    verified.append(marks[part[[not text for text in problems]]])
        finally:  # also of what was read before Ctrl-C
            if len(verified) > 1:
                remember(self.folder, np.concatenate(verified))
        self._verified = not damage
        return damage

    def _damage(self, name: str) -> str:
        """Why a file cannot be read; empty if it can."""
        try:
            with _opened(self.folder / name) as file:
                file.verify()  # of a PNG's end, which may be missing, no pixel tells
            self._image(name)
        except Exception as error:  # damage can do anything to a decoder
            return f"{self.folder / name} ({' '.join(str(error).split())})"
        return ""

    def _image(self, name: str) -> Image.Image:
        return read_image(self.folder / name)

    def _pixels(self, name: str) -> np.ndarray:
        try:
            image = self._image(name)
        except Exception as error:  # as above
            raise DataError(
                f"{self.folder / name} cannot be read ({' '.join(str(error).split())}); "
                "get it anew, or leave it out"
            ) from None
        return self._seen(image)

    def _seen(self, image: Image.Image) -> np.ndarray:
        return np.asarray(self.view(image))


def read_image(path: Path) -> Image.Image:
    """The image in a file as RGB of 8 bits, upright as its EXIF says; transparency is left out.

    Of 16 bits the upper eight are kept, rounded. Of several frames the first one is read.

    Raises:
        ValueError: if it is no file, or its numbers do not say which of them is white.
    """
    with _opened(path) as file:
        mode, kind = file.mode, file.format
        turn = _TURNS.get(_orientation(file))
        if mode.startswith("I;16") or (mode == "I" and kind in ("PNG", "PPM")):
            levels = np.asarray(file).astype(np.uint32)
            image = Image.fromarray(((levels + 128) // 257).astype(np.uint8))
        elif mode in ("I", "F"):
            raise ValueError(f"pixels of {mode} have no white; save it with 8 or 16 bits")
        else:  # of a palette with transparency, PIL warns that RGBA is between
            image = file.convert("RGBA") if mode == "P" and "transparency" in file.info else file
        image = image.convert("RGB")
    return image if turn is None else image.transpose(turn)


def _opened(path: Path) -> Image.Image:
    if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would be waited for
        raise ValueError("it is no file")
    return Image.open(path, formats=_KINDS)


@contextmanager
def _silent() -> Iterator[None]:
    """What PIL logs of damage is said here, in one line for each file."""
    logger = logging.getLogger("PIL")
    before = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(before)


def _orientation(file: Image.Image) -> int:
    try:
        return file.getexif().get(_ORIENTATION, 1)
    except Exception:  # damage can do anything to a decoder, and says nothing of the pixels
        return 1


class SeveralViews(ImageFiles):
    """Files of images of which each is decoded once and seen in several ways.

    Indexed like a tensor (N, K): the pixels of all views of an image, one after another, each
    (3, H, W).
    """

    def __init__(self, files: Sequence[ImageFiles]) -> None:
        super().__init__(files[0].folder, files[0].names, files[0].view)
        self.views = [one.view for one in files]

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        return torch.from_numpy(self._decoded(rows))

    def _seen(self, image: Image.Image) -> np.ndarray:
        views = [np.asarray(view(image)).transpose(2, 0, 1).ravel() for view in self.views]
        return np.concatenate(views)


def central_square(
    image: Image.Image, size: int, crop: int, resampling: Image.Resampling
) -> Image.Image:
    """The shorter side resized to `size`, then the square of that size in the middle.

    Its own centre of `crop` pixels is where torchvision's Resize(size) and CenterCrop(crop) end
    up, to the pixel, for `centre_crop` to cut out; the margin is room for random crops.
    """
    short, long = sorted(image.size)
    width, height = (int(size * side / short) if side == long else size for side in image.size)
    margin = round((size - crop) / 2)
    left, top = (round((side - crop) / 2) - margin for side in (width, height))
    if long > _THIN * short:  # all of it resized would be gigabytes of a line of pixels
        return _resized_there(image, (width, height), (left, top), size, resampling)
    image = image.resize((width, height), resampling)
    return image.crop((left, top, left + size, top + size))


def _resized_there(
    image: Image.Image,
    whole: tuple[int, int],  # what all of it would be resized to
    corner: tuple[int, int],  # of the square that is seen of that
    size: int,
    resampling: Image.Resampling,
) -> Image.Image:
    """The square without the rest, the same to the pixel: filters reach less far than `reach`."""
    steps = [side / resized for side, resized in zip(image.size, whole, strict=True)]
    low = [at * step for at, step in zip(corner, steps, strict=True)]
    high = [(at + size) * step for at, step in zip(corner, steps, strict=True)]
    reach = [int(4 * max(1, step)) + 1 for step in steps]
    first = [max(0, int(a) - r) for a, r in zip(low, reach, strict=True)]
    last = [min(side, int(b) + 1 + r) for side, b, r in zip(image.size, high, reach, strict=True)]
    box = (low[0] - first[0], low[1] - first[1], high[0] - first[0], high[1] - first[1])
    return image.crop((first[0], first[1], last[0], last[1])).resize((size, size), resampling, box)


def squashed(
    image: Image.Image, size: int, resampling: Image.Resampling = Image.Resampling.BILINEAR
) -> Image.Image:
    """Both sides resized to `size`, whatever their ratio was."""
    return image.resize((size, size), resampling)


def mark_of(folder: Path, name: str) -> int:
    """A number that changes with a file's name, size and date; `ABSENT` if it cannot be seen."""
    try:
        facts = os.stat(os.path.join(folder, name))
    except OSError:
        return ABSENT
    what = f"{_READING} {facts.st_size} {facts.st_mtime_ns} ".encode() + os.fsencode(name)
    return int.from_bytes(blake2b(what, digest_size=8).digest())


def remembered(folder: Path) -> np.ndarray:  # (K,), uint64
    """The marks of the verified files of a folder; none if nothing is remembered of it."""
    try:
        return np.frombuffer(read_sealed(_memory(folder)), np.uint64)
    except (FileError, OSError):
        return np.empty(0, np.uint64)


def remember(folder: Path, marks: np.ndarray) -> None:
    """Keep the marks of verified files; where nothing can be written, they are read again."""
    with suppress(FileError, OSError):
        _memory(folder).parent.mkdir(parents=True, exist_ok=True)
        write_sealed(_memory(folder), marks.astype(np.uint64).tobytes())


def _memory(folder: Path) -> Path:
    """In the user's cache: data sets are often read-only, and results are moved and deleted."""
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    ours = os.environ.get("FRANKENSTEIN_CACHE") or os.path.join(caches, "frankenstein")
    return Path(ours) / f"{sha256(os.fsencode(folder.resolve())).hexdigest()[:16]}.whole"
