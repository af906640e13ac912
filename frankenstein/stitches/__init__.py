"""Stitches: families of learned maps between representations, and where they start."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.stitches.affine import Affine
    from frankenstein.stitches.batchnorm import BatchNormed
    from frankenstein.stitches.conv3x3 import Conv3x3
    from frankenstein.stitches.files import load_stitch, save_stitch, stitch_facts
    from frankenstein.stitches.identity import Identity
    from frankenstein.stitches.low_rank import LowRank
    from frankenstein.stitches.matched import RULES, Matched
    from frankenstein.stitches.mlp import MLP
    from frankenstein.stitches.orthogonal import Orthogonal, Rotation
    from frankenstein.stitches.permutation import Permutation
    from frankenstein.stitches.relative import Relative
    from frankenstein.stitches.sparse import Sparse
    from frankenstein.stitches.stitch import STARTS, Stitch, start

__getattr__, __dir__, __all__ = lazy_names(__name__)
