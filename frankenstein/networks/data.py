"""Networks and the data set that they see: opened, loaded, checked against each other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from torch import nn

from frankenstein.catalog import DATASETS
from frankenstein.data import ImageData, Preprocessing
from frankenstein.data.fits import check_taken
from frankenstein.data.own import OwnData, own_data
from frankenstein.data.raw import view_of_raw
from frankenstein.data.shared import SharedImages
from frankenstein.data.text import Text
from frankenstein.errors import UserError, counted
from frankenstein.networks.answer import logits_of
from frankenstein.networks.network import Network, open_network
from frankenstein.report.progress import progress
from frankenstein.source import names_code, parse_source

_SENTENCES = 64  # at once: more of them do not stay in a CPU's cache


def data_for(
    networks: Network | Sequence[Network],  # one, or sender, receiver and any others
    dataset: str | None,  # None: the one that the receiver was trained on
    data_root: str | None = None,
    batch_size: int = 128,  # of training
    eval_batch_size: int = 250,
    order_seed: int = 0,
    answering: Sequence[Network] = (),  # those whose answers are held against the labels
    texts: Sequence[str] = (),  # files of the data set "text"
) -> ImageData:
    """A data set, loaded, in the size of image that networks are made for.

    A network that comes with a preprocessing of its own sees that. Where all see alike, batches are
    prepared for all; where not, they are raw, and each looks at them for itself (`look_of`).

    A network of grey images sees colours as grey, and one of colours sees grey in all of them.

    Raises:
        DataError: if a network sees images with another number of channels.
        UserError: if no data set is named, neither by the user nor in the network's file, or the
            labels do not fit the answers.
    """
    networks = [networks] if isinstance(networks, Network) else list(networks)
    dataset = dataset or networks[:2][-1].dataset
    if dataset is None:
        raise UserError(
            "the network's file does not say what data it was trained on; choose ‹dataset›"
        )
    if names_code(dataset):
        own = own_data(
            dataset,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            order_seed=order_seed,
        )
        return own_data_for(networks, own, answering)
    if DATASETS[dataset].in_channels == 0:
        sentences = Text(texts, batch_size, order_seed, min(eval_batch_size, _SENTENCES))
        return text_for(networks, sentences, answering)
    check_labels(dataset, data_root, answering)
    parts: dict[Preprocessing, ImageData] = {}
    for network in networks:
        part = DATASETS[dataset](
            image_size=network.input_shape[-1],
            batch_size=batch_size,
            order_seed=order_seed,
            data_root=data_root,
            eval_batch_size=eval_batch_size,
            preprocessing=network.eyes,
            channels=network.input_shape[0],
        )
        parts.setdefault(part.eyes, part)
    data = SharedImages([*parts.values()]) if len(parts) > 1 else next(iter(parts.values()))
    data.setup()
    return data


def text_for(networks: Sequence[Network], data: Text, answering: Sequence[Network] = ()) -> Text:
    """Sentences for networks that each read them by their own tokenizer.

    The labels are next tokens where the second network, or the only one, is causal; else classes.

    Raises:
        UserError: for a network that reads no text, or classes of another number.
    """
    for network in networks:
        if network.tokenizer is None:
            raise UserError(
                f"the {network.role}, {network.source}, has no tokenizer and reads no text; choose "
                "another ‹dataset›"
            )
    judge = networks[:2][-1]
    if judge.causal and judge.tokenizer is not None:
        data.predict_next(judge.tokenizer)
    for network in answering:
        if not answers_to(network, data):
            asked = "next tokens" if judge.causal else f"{len(data.classes)} classes"
            raise UserError(
                f"the labels of {data.about} are {asked}, and the {network.role}, "
                f"{network.source}, does not answer with these"
            )
    return data


def own_data_for(
    networks: Sequence[Network], data: OwnData, answering: Sequence[Network] = ()
) -> OwnData:
    """A user's own data, read for these networks, each of which has looked at the first inputs.

    Raises:
        DataError: for a batch that a network does not take.
        UserError: if the labels do not fit the answers.
    """
    data.shown_to([network.module for network in networks]).setup()
    for network in networks:
        shown = data.blank(), look_of(network, data)
        answer = logits_of(check_taken(network.module, network.source, *shown))
        data.answers[network.module] = tuple(getattr(answer, "shape", ()))
    for network in answering:
        if not data.labelled:
            raise UserError(
                f"{data.name} gives no labels, and the {network.role} is judged by them; "
                "`compare`, `extract` and some questions of `analyze` need none"
            )
        shape = data.answers[network.module]
        if misfit := data.misfit(shape):
            raise UserError(f"the {network.role}, {network.source}: {misfit}")
        data.judge(shape[-1])
    return data


def look_of(network: Network, data: ImageData) -> nn.Module | None:
    """From a batch of the data to what a network takes; None if it takes the batch as it is.

    Raises:
        DataError: if the data are prepared for networks that see in another way.
    """
    if isinstance(data, Text):
        assert network.tokenizer is not None  # `text_for` has seen to it
        return data.look_for(network.tokenizer)
    if isinstance(data, OwnData):
        if not data.pictured:
            return data.look_for(network.module)
        return view_of(network, data.blank())
    return data.look(network.input_shape[-1], network.eyes, network.input_shape[0])


def view_of(network: Network, images: Any) -> nn.Module:
    """From images of 0 to 255 of the user's own to what a network takes.

    Raises:
        DataError: if nobody says how it sees them.
    """
    return view_of_raw(images, network.input_shape, eyes_on(network))


def eyes_on(network: Network) -> Preprocessing | None:
    """How a network sees images of the user's own: as it says, else as those it was trained on."""
    how, trained = network.eyes, DATASETS.get(network.dataset or "")
    if (how and how.mean) or trained is None:
        return how
    size, target = network.input_shape[-1], trained.target
    how = how or Preprocessing(size, size, (), ())
    return replace(how, mean=tuple(target.mean), std=tuple(target.std))


def check_data(data: ImageData, quiet: bool) -> None:
    """Read files of images through before a training, with a bar if that has not been done before.

    Raises:
        DataError: if some cannot be read, or there is no image of a class.
    """
    data.check(lambda parts, name: progress(parts, name, quiet))


def check_augment(data: ImageData, augment: bool) -> None:
    """Refuse to change images at random that networks see in several sizes.

    Raises:
        UserError: if that is asked for.
    """
    if augment and isinstance(data, SharedImages) and not data.augments:
        raise UserError(
            f"{data.name} is read in several sizes for these networks, and cannot be changed at "
            "random in all alike; say ‹augment›, or take networks that see alike"
        )


def check_labels(dataset: str, data_root: str | None, networks: Sequence[Network]) -> None:
    """Refuse labels of another kind or number than networks answer with.

    What kind a network answers with is known from the data set that it was trained on, if that is
    known.

    Raises:
        UserError: if these have several labels for an image and those one class, or the other way
            round, or if a network tells another number of classes apart.
    """
    if names_code(dataset) or not DATASETS[dataset].in_channels:
        return  # `own_data_for` and `text_for` look at them
    for network in networks:
        here, there = kind_of(dataset), kind_of(network.dataset)
        if there not in (None, here):
            raise UserError(
                f"{dataset} has {here}, and the {network.role} was trained on {network.dataset}, "
                f"which has {there}; choose the ‹dataset› that it was trained on"
            )
        num_classes = num_classes_of(dataset, data_root)
        if network.card.num_classes != num_classes:
            raise UserError(
                f"{dataset} has {counted(num_classes, 'class', 'classes')}, and the {network.role} "
                "tells "
                f"{network.card.num_classes} apart; choose the ‹dataset› that it was trained on"
            )


def kind_of(dataset: str | None) -> str | None:
    """What kind of labels a data set has, in words; None for one that is unknown."""
    row = DATASETS.get(dataset or "")
    if row is None:
        return None
    return "several labels for each image" if row.multilabel else "one class for each image"


def answers_to(network: Network, data: ImageData) -> bool:
    """Whether a network answers what the labels of a data set ask."""
    if isinstance(data, Text):
        return network.card.num_classes == data.num_classes > 1
    if isinstance(data, OwnData):
        return data.can_be_answered(data.answers[network.module])
    row = DATASETS.get(network.dataset or "")
    alike = row is None or row.multilabel == data.multilabel
    return alike and network.card.num_classes == data.num_classes


def num_classes_of(dataset: str, data_root: str | None) -> int:
    """How many classes a data set has; those of a folder are counted where it lies."""
    row = DATASETS[dataset]
    return row.num_classes or row(data_root=data_root).num_classes


def open_pair(
    sender: str,
    receiver: str,
    model: str | None = None,
    *,
    dataset: str | None = None,
    size: int | None = None,
    normalize: Sequence[float] | None = None,
    resampling: str | None = None,
) -> tuple[Network, Network]:
    """Two networks, by their sources; the options are those of `open_network`.

    Raises:
        FileError: for a file that does not hold a network.
        UserError: if a network cannot be had, or an option is of no use to either.
    """
    one, other = open_all(
        {"sender": sender, "receiver": receiver},
        model,
        dataset=dataset,
        size=size,
        normalize=normalize,
        resampling=resampling,
    )
    return one, other


def open_all(
    sources: Mapping[str, str],  # by role
    model: str | None = None,
    *,
    dataset: str | None = None,
    size: int | None = None,
    normalize: Sequence[float] | None = None,
    resampling: str | None = None,
) -> list[Network]:
    """Networks by their sources; the options are those of `open_network`, for all of them.

    A network that does not say what images it takes sees those of `dataset`; if that is not named,
    those that the receiver, else another one, was trained on.

    Raises:
        UserError: as `open_pair`.
    """
    options: dict[str, Any] = {"size": size, "normalize": normalize, "resampling": resampling}
    made: dict[str, Network] = {}
    # Last what would have to be told the data set: another's file may say it.
    for role in sorted(sources, key=lambda role: parse_source(sources[role]).kind != "file"):
        known = [made[one].dataset for one in ("receiver", *made) if one in made]
        told = dataset or next(filter(None, known), None)
        made[role] = open_network(sources[role], role, model, dataset=told, **options)
    networks = [made[role] for role in sources]
    check_model(model, *networks)
    for name, option in options.items():
        if option is not None and not any(name in network.told for network in networks):
            raise UserError(
                f"‹{name}› is for a network whose source does not say how it sees, and "
                f"{' and '.join(network.source for network in networks)} say it; leave it out"
            )
    return networks


def check_same_answers(sender: Network, receiver: Network) -> None:
    """Refuse networks that tell other classes apart, or of which one answers several questions.

    Raises:
        UserError: if they do.
    """
    kinds = [kind_of(network.dataset) for network in (sender, receiver)]
    if None not in kinds and kinds[0] != kinds[1]:
        raise UserError(
            f"the sender was trained on {sender.dataset}, which has {kinds[0]}, and the receiver "
            f"on {receiver.dataset}, which has {kinds[1]}; take networks of one data set"
        )
    if sender.card.num_classes != receiver.card.num_classes:
        raise UserError(
            f"the sender tells {counted(sender.card.num_classes, 'class', 'classes')} apart and "
            "the receiver "
            f"{receiver.card.num_classes}; take networks of one data set"
        )


def check_model(model: str | None, *networks: Network) -> None:
    """Refuse to be told what files hold that say so themselves.

    Raises:
        UserError: if a model is named, and no network's file is a state dict.
    """
    if model is not None and all(network.dataset for network in networks):
        files = " and ".join(network.source for network in networks)
        raise UserError(
            f"‹model› {model} says what a .pt file holds, and {files} say so themselves; leave it "
            "out"
        )
