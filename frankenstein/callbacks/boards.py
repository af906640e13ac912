"""Pictures into TensorBoard, where a run has one."""

import pytorch_lightning as pl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter


def writers(trainer: pl.Trainer) -> list[SummaryWriter]:
    """The TensorBoard writers of a trainer's loggers."""
    return [log.experiment for log in trainer.loggers if isinstance(log, TensorBoardLogger)]


def add_figure(trainer: pl.Trainer, tag: str, figure: Figure) -> None:
    """Show a figure at the trainer's step in every TensorBoard it writes."""
    FigureCanvasAgg(figure)  # add_figure of torch asks the figure's canvas for its pixels
    for writer in writers(trainer):
        writer.add_figure(tag, figure, trainer.global_step)
