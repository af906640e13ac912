"""What algebra over very many units costs, told before it is paid."""

import math
import time

import torch

from frankenstein.stitching.controls import SCORED_ON, solved_on
from frankenstein.surgery import Joint

_BYTES_TOLD, _SECONDS_TOLD = 100 * 2**20, 10
_SIZE = 800  # of the matrix that is decomposed to see how fast the machine is


def cost_of(joint: Joint, solve_on: int, train: int, held_out: int) -> str | None:
    """Memory and time of a run's algebra on so many images in a line, None if they are small.

    Memory is that of sums over all pairs of units, or, of images fewer than units, of their rows;
    time that of decompositions, during which no bar moves. Both are rough: fitted to few runs.
    """
    d, e = joint.source.units, joint.target.units
    places = math.prod(joint.target.grid) + joint.target.extra
    controls = min(train, solved_on(d, e))
    scored = held_out // max(1, held_out // SCORED_ON)
    # The run's own solution; those of two controls; three stitches, and the controls, measured.
    cubes, squares = 0.0, 7 * 4.0  # the stitches themselves, in float32
    for images, times in ((solve_on, 1), (controls, 2), (held_out, 3), (scored, 4)):
        rows, most = images * places, max(d, e)
        if rows > most:
            cubes += 1.5 * times
            squares = max(squares, 28 + 8.0 * (20 * times + 10))  # as measured
        else:
            squares = max(squares, 52 + 48.0 * rows / most)
    size, seconds = squares * max(d, e) ** 2, 0.0
    if cubes * max(d, e) ** 3 > 1e9:
        seconds = cubes * (max(d, e) / _SIZE) ** 3 * _decomposing()
    if size < _BYTES_TOLD and seconds < _SECONDS_TOLD:
        return None
    line = f"algebra over {d:,} and {e:,} units takes about {size / 2**20:,.0f} MiB"
    if seconds < _SECONDS_TOLD:
        return line
    return f"{line}, and {_in_words(seconds)} in which no bar moves"


def _decomposing() -> float:
    """Seconds that the eigenvectors of a matrix of _SIZE take here."""
    matrix = torch.rand(_SIZE, _SIZE, dtype=torch.float64)
    began = time.perf_counter()
    torch.linalg.eigh(matrix + matrix.T)
    return time.perf_counter() - began


def _in_words(seconds: float) -> str:
    """
    >>> _in_words(49.0), _in_words(700.0)
    ('50 seconds', '12 minutes')
    """
    if seconds < 100:
        return f"{10 * math.ceil(seconds / 10)} seconds"
    return f"{math.ceil(seconds / 60)} minutes"
