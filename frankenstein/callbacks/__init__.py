"""What rides on a Lightning training: similarity, pictures, snapshots, progress."""

from frankenstein.callbacks.boards import writers
from frankenstein.callbacks.checkpoints import Resumable, WholeCheckpoints
from frankenstein.callbacks.every import Every, draw_stitch
from frankenstein.callbacks.progress import TrainingBar
from frankenstein.callbacks.seeded_steps import SeededSteps
from frankenstein.callbacks.similarity import RepresentationSimilarity

__all__ = [
    "Every",
    "RepresentationSimilarity",
    "Resumable",
    "SeededSteps",
    "TrainingBar",
    "WholeCheckpoints",
    "draw_stitch",
    "writers",
]
