"""Stitches: families of learned maps between representations, and where they start."""

from frankenstein.stitches.affine import Affine
from frankenstein.stitches.files import load_stitch, save_stitch, stitch_facts
from frankenstein.stitches.identity import Identity
from frankenstein.stitches.low_rank import LowRank
from frankenstein.stitches.matched import RULES, Matched
from frankenstein.stitches.orthogonal import Orthogonal
from frankenstein.stitches.permutation import Permutation
from frankenstein.stitches.sparse import Sparse
from frankenstein.stitches.start import STARTS, start
from frankenstein.stitches.stitch import Stitch

__all__ = [
    "RULES",
    "STARTS",
    "Affine",
    "Identity",
    "LowRank",
    "Matched",
    "Orthogonal",
    "Permutation",
    "Sparse",
    "Stitch",
    "load_stitch",
    "save_stitch",
    "start",
    "stitch_facts",
]
