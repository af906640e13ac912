"""Pictures into TensorBoard, where a run has one."""

import pytorch_lightning as pl
from matplotlib.figure import Figure
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter

from frankenstein.report.board import log_png
from frankenstein.report.style import png


def writers(trainer: pl.Trainer) -> list[SummaryWriter]:
    """The TensorBoard writers of a trainer's loggers."""
    return [log.experiment for log in trainer.loggers if isinstance(log, TensorBoardLogger)]


def add_figure(trainer: pl.Trainer, tag: str, figure: Figure) -> None:
    """Show a figure at the trainer's step in every TensorBoard it writes."""
    image = png(figure, dots_per_inch=100)
    for writer in writers(trainer):
        log_png(writer, tag, image, trainer.global_step)
