"""Pictures into TensorBoard as they are, neither drawn nor packed a second time."""

import struct
from typing import TYPE_CHECKING

from tensorboard.compat.proto.summary_pb2 import Summary

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def log_png(
    writer: "SummaryWriter",
    tag: str,
    image: bytes,  # a PNG file
    step: int = 0,
) -> None:
    """Show a PNG file."""
    width, height = struct.unpack(">II", image[16:24])  # where every PNG says its size
    shown = Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=image)
    value = Summary.Value(tag=tag, image=shown)
    assert writer.file_writer is not None  # it is open
    writer.file_writer.add_summary(Summary(value=[value]), step)
