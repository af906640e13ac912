"""Cut networks in two, join halves of different ones; nothing here writes into a network."""

from frankenstein.surgery.capture import capture
from frankenstein.surgery.cut import Cut, cut, cut_points, shape_after
from frankenstein.surgery.join import Joint, graft, join, seeing
from frankenstein.surgery.layouts import Layout, layout_of
from frankenstein.surgery.permute import permute
from frankenstein.surgery.refusal import LayerError
from frankenstein.surgery.streams import Streams, find_streams

__all__ = [
    "Cut",
    "Joint",
    "LayerError",
    "Layout",
    "Streams",
    "capture",
    "cut",
    "cut_points",
    "find_streams",
    "graft",
    "join",
    "layout_of",
    "permute",
    "seeing",
    "shape_after",
]
