import io

import numpy as np
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from frankenstein.report import heatmap, log_png, png


def test_the_board_shows_the_very_picture(tmp_path):
    image = png(heatmap([[0.1, 0.9]], ["a"], ["b", "c"]))
    with SummaryWriter(str(tmp_path)) as writer:
        log_png(writer, "similarity", image, step=3)
    board = EventAccumulator(str(tmp_path)).Reload()
    (event,) = board.Images("similarity")
    assert event.step == 3
    assert event.encoded_image_string == image
    assert (event.width, event.height) == Image.open(io.BytesIO(image)).size


def test_a_picture_looks_as_matplotlib_itself_saves_it():
    figure, saved = heatmap(np.eye(3), "abc", "abc", "eye"), io.BytesIO()
    figure.savefig(saved, format="png", dpi=160, metadata={"Software": None})
    assert png(figure) == saved.getvalue()
    assert figure.dpi == 100
