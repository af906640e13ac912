"""How many files and functions of the package a verb enters, from the command line to its report.

    python benchmarks/house.py                      # a stitch of the shipped digits networks
    python benchmarks/house.py compare A B          # any other command line

What runs while a module is imported is left out. The aim for a stitch: at most 55 files, at most 8
of them in `cli`.
"""

import argparse
import os
import sys
import tempfile
import threading
from collections import Counter
from pathlib import Path
from types import FrameType

import frankenstein
from frankenstein.cli import main

ROOT = Path(frankenstein.__file__).parent
WEIGHTS = ROOT.parent / "model_weights" / "tiny10" / "digits"
STITCH = [
    "stitch",
    *(str(WEIGHTS / f"in{seed}-gn{seed}.safetensors") for seed in (0, 1)),
    *("bn3", "bn3", "-e", "1", "-i", "ps_inv", "--accelerator", "cpu"),
]


def counted(words: list[str]) -> set[tuple[str, str]]:
    """The (file, function) pairs that a command line enters."""
    entered: set[tuple[str, str]] = set()
    places: dict[str, str | None] = {}

    def place(name: str) -> str | None:
        if name not in places:
            path = Path(name)
            inside = path.is_relative_to(ROOT)
            places[name] = path.relative_to(ROOT).as_posix() if inside else None
        return places[name]

    def importing(frame: FrameType | None) -> bool:
        while frame is not None:
            if frame.f_code.co_name == "<module>" and place(frame.f_code.co_filename):
                return True
            frame = frame.f_back
        return False

    def note(frame: FrameType, event: str, _: object) -> None:
        if event != "call":
            return
        file = place(frame.f_code.co_filename)
        if file is None:
            return
        key = file, frame.f_code.co_qualname
        if key not in entered and not importing(frame):
            entered.add(key)

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        code = main(words)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    if code:
        raise SystemExit(code)
    return entered


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", help="a command line without `frankenstein`")
    parser.add_argument("--list", action="store_true", help="name the files, too")
    options, more = parser.parse_known_args()
    words = [*options.words, *more] or STITCH
    with tempfile.TemporaryDirectory() as folder:
        entered = counted([os.fspath(word) for word in words] + ["--out-dir", folder])
    functions = Counter(file for file, _ in entered)
    rooms = Counter(file.partition("/")[0].removesuffix(".py") for file in functions)
    if options.list:
        for file, count in sorted(functions.items()):
            print(f"{count:4} {file}")
    print(f"{len(functions)} files, {len(entered)} functions")
    print(", ".join(f"{room} {count}" for room, count in rooms.most_common()))
