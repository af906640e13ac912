"""The data set that networks see, loaded and prepared as one of them takes it."""

from collections.abc import Sequence

from frankenstein.catalog import DATASETS
from frankenstein.data import ImageData
from frankenstein.errors import UserError
from frankenstein.networks.labels import check_labels
from frankenstein.networks.network import Network
from frankenstein.report.progress import progress


def data_for(
    network: Network,
    dataset: str | None,  # None: the one that it was trained on
    data_root: str | None = None,
    batch_size: int = 128,  # of training
    eval_batch_size: int = 250,
    order_seed: int = 0,
    answering: Sequence[Network] = (),  # those whose answers are held against the labels
) -> ImageData:
    """A data set, loaded, in the size of image that a network is made for.

    A network that comes from trained weights of torchvision sees what these prescribe.

    Raises:
        UserError: if the network sees images with another number of channels, no data set is named,
            neither by the user nor in the network's file, or the labels do not fit the answers.
    """
    dataset = dataset or network.dataset
    if dataset is None:
        raise UserError(
            "the network's file does not say what data it was trained on; choose ‹dataset›"
        )
    channels, _, size = network.input_shape
    if DATASETS[dataset].in_channels != channels:
        raise UserError(
            f"{dataset} has images of {DATASETS[dataset].in_channels} channels, and the network "
            f"takes {channels}; choose ‹dataset› among "
            + ", ".join(name for name, row in DATASETS.items() if row.in_channels == channels)
        )
    check_labels(dataset, data_root, answering)
    data = DATASETS[dataset](
        image_size=size,
        batch_size=batch_size,
        order_seed=order_seed,
        data_root=data_root,
        eval_batch_size=eval_batch_size,
        preprocessing=network.eyes,
    )
    data.setup()
    return data


def check_data(data: ImageData, quiet: bool) -> None:
    """Read files of images through before a training, with a bar if that has not been done before.

    Raises:
        DataError: if some cannot be read, or there is no image of a class.
    """
    data.check(lambda parts, name: progress(parts, name, quiet))
