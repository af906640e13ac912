"""What rides on a Lightning training: similarity, pictures, snapshots, progress."""

from typing import TYPE_CHECKING

from frankenstein.lazy import lazy_names

if TYPE_CHECKING:  # imported when first asked for
    from frankenstein.callbacks.boards import Every, draw_stitch, writers
    from frankenstein.callbacks.checkpoints import Resumable, SeededSteps, WholeCheckpoints
    from frankenstein.callbacks.progress import TrainingBar
    from frankenstein.callbacks.similarity import RepresentationSimilarity

__getattr__, __dir__, __all__ = lazy_names(__name__)
