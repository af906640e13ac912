"""Pictures and representations into TensorBoard, neither drawn nor packed a second time."""

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from google.protobuf import text_format
from matplotlib import colormaps
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from torch import Tensor

from frankenstein.files import write_whole
from frankenstein.report.image_grid import thumbnails
from frankenstein.shapes import ShapeError

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


_CONFIG = "projector_config.pbtxt"


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


if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def log_projector(
    writer: "SummaryWriter",
    tag: str,
    points: Tensor,  # (N, D)
    columns: Mapping[str, Sequence[Any]],  # {"class": N labels, "network": N names, ...}
    images: Tensor | None = None,  # (N, C, H, W), uint8, with 1 or 3 channels
    limit: int = 500,
) -> int:
    """Show points in the projector, coloured by any column; returns how many are shown.

    Of more than `limit` points, that many are taken at even distances, first and last included.
    Every tag logged into one folder is listed, those of an earlier writer too. TensorBoard
    colours a column of words that has at most 50 different ones.

    Raises:
        ShapeError: if points, columns and images are not of the same N examples.
        ValueError: if the tag is in the folder already, or a point is not finite.
    """
    _check(points, columns, images)
    config = Path(writer.log_dir) / _CONFIG
    earlier = _read(config)
    if any(known.tensor_name.rpartition(":")[0] == tag for known in earlier.embeddings):
        raise ValueError(f"the projector already shows {tag!r} in this folder; use another tag")
    kept = torch.linspace(0, len(points) - 1, min(limit, len(points))).round().long()
    lines = [[_one_cell(column[i]) for column in columns.values()] for i in kept.tolist()]
    alone = len(columns) == 1  # TensorBoard takes a header over one column for a point's label
    writer.add_embedding(
        points.detach().cpu().float()[kept],
        metadata=[line[0] for line in lines] if alone else lines,
        metadata_header=None if alone else list(columns),
        label_img=None if images is None else thumbnails(images.cpu()[kept]),
        tag=tag,
    )
    _keep(earlier, config)
    return len(kept)


def framed(
    images: Tensor,  # (N, 1 or 3, H, W), uint8
    labels: Tensor,  # (N,)
) -> Tensor:  # (N, 3, H, W), uint8
    """Images in a frame of their class's colour, which the projector then shows as points."""
    palette = torch.tensor(colormaps["tab10"].colors) * 255  # type: ignore[attr-defined]
    colours = palette[labels.cpu() % len(palette)].to(torch.uint8)[:, :, None, None]
    pictures = images.cpu().expand(-1, 3, -1, -1).clone()
    width = max(1, images.shape[-1] // 10)
    inside = slice(width, -width)
    frame = torch.ones(images.shape[-2:], dtype=torch.bool)
    frame[inside, inside] = False
    return torch.where(frame, colours, pictures)


def _check(points: Tensor, columns: Mapping[str, Sequence[Any]], images: Tensor | None) -> None:
    if points.ndim != 2 or len(points) == 0:
        raise ShapeError(f"points must be (N, D), got {tuple(points.shape)}; use per_sample")
    if not columns:
        raise ShapeError("points need at least one column of labels, got none")
    for name, column in columns.items():
        if len(column) != len(points):
            raise ShapeError(
                f"column {name!r} has {len(column)} labels for {len(points)} points; give one each"
            )
    if images is not None and (
        images.ndim != 4 or len(images) != len(points) or images.shape[1] not in (1, 3)
    ):
        raise ShapeError(
            f"images must be ({len(points)}, 1 or 3, H, W), got {tuple(images.shape)}; "
            "give one per point"
        )
    if images is not None and images.dtype != torch.uint8:
        raise ShapeError(
            f"images must be uint8, got {images.dtype}; give them before preprocessing"
        )
    if not points.isfinite().all():
        raise ValueError("points hold values that are not finite; the projector cannot place them")


def _one_cell(value: Any) -> str:
    value = value.item() if isinstance(value, Tensor) else value
    return " ".join(str(value).split())  # a tab or a new line would end the cell


def _read(path: Path) -> ProjectorConfig:
    config = ProjectorConfig()
    if path.is_file():
        text_format.Parse(path.read_text(), config)
    return config


def _keep(earlier: ProjectorConfig, path: Path) -> None:
    """List again what a new writer, which knows only its own tags, has left out of the file."""
    config = _read(path)
    names = {embedding.tensor_name for embedding in config.embeddings}
    lost = [known for known in earlier.embeddings if known.tensor_name not in names]
    if lost:
        config.embeddings.extend(lost)
        write_whole(path, text_format.MessageToString(config))
