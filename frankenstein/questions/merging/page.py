"""What a report says of merged networks."""

from functools import partial

from matplotlib.figure import Figure

from frankenstein.questions.merging.answer import AVERAGED, UNMATCHED, MergeAnswer
from frankenstein.questions.subject import PARTS
from frankenstein.report import Picture, Section, Short, markdown_table, short_number
from frankenstein.report.panels import line_panels
from frankenstein.zoo import save_network

_WAYS = {
    UNMATCHED: ("as they are", "the sender's units in the order that they have: the control"),
    AVERAGED: (
        "by activations, statistics averaged",
        "as below, but with BatchNorm's statistics averaged like the weights (without BatchNorm: "
        "no layer rescaled): the control of what counting anew does",
    ),
    "by_activations": (
        "by activations",
        "its units in the order in which their activations are most correlated with the "
        "receiver's over training images",
    ),
    "by_weights": (
        "by weights",
        "in the order in which its weights are nearest to the receiver's, without data",
    ),
}
_SUMMARY = (
    "The network halfway between the weights of both, units in the order that each row names, and "
    "the largest loss on the way above that of both ends (nats): 0 is no barrier."
)
_CAPTION = (
    "Loss (nats) and accuracy along the straight line between the weights of the sender (0) and of "
    "the receiver (1), units matched in the ways that the legend names. A hill in the loss is the "
    "barrier; where there is none the two have found one solution, their units in another order."
)


def merge_section(title: str, answer: MergeAnswer) -> Section:
    """The lines, their barriers, and what the networks halfway are worth."""
    barriers = [
        [_WAYS[way][0], *(answer.numbers[f"barrier_{part}/{way}"] for part in PARTS)]
        for way in answer.lines
    ]
    scores = [
        *((name.replace("_", " "), score) for name, score in answer.parents.items()),
        *((f"merged {_WAYS[way][0]}", score) for way, score in answer.halfway.items()),
    ]
    rows = [[name, score.accuracy, score.loss] for name, score in scores]
    blocks: tuple[str | Picture, ...] = (
        _about(answer),
        Picture("line", _figure(answer), _CAPTION),
        markdown_table(barriers, ["units matched", "barrier, training", "barrier, held-out"]),
        f"The network halfway, on {answer.examples['val']} held-out images, beside the two it is "
        "made of and the mean of their logits, which costs two networks to run:",
        markdown_table(rows, ["network", "accuracy", "loss"], ["accuracy"]),
        f"`merged.safetensors` is the one matched {_WAYS[answer.best][0]}, whose training loss is "
        "the lowest.",
    )
    merged = answer.merged
    saves = {"merged.safetensors": partial(save_network, network=merged.module, card=merged.card)}
    return Section(title, blocks, short=_short(answer), saves=saves)


def _short(answer: MergeAnswer) -> Short:
    rows = [
        [name.replace("_", " "), short_number(one.accuracy, "%"), short_number(one.loss, ".3f"), ""]
        for name, one in answer.parents.items()
    ]
    for way, one in answer.halfway.items():
        barrier = answer.numbers[f"barrier_val/{way}"]
        numbers = (one.accuracy, "%"), (one.loss, ".3f"), (barrier, ".3f")
        rows.append([f"merged {_WAYS[way][0]}", *(short_number(*number) for number in numbers)])
    return Short(_SUMMARY, ["", "accuracy", "loss", "barrier"], rows)


def _figure(answer: MergeAnswer) -> Figure:
    panels = {
        f"{what}, {images}": {
            _WAYS[way][0]: (line.shares, getattr(line, what)[part])
            for way, line in answer.lines.items()
        }
        for what in ("loss", "accuracy")
        for part, images in PARTS.items()
    }
    return line_panels(panels, "share of the receiver", controls=(_WAYS[UNMATCHED][0],))


def _about(answer: MergeAnswer) -> str:
    ways = "\n".join(f"- *{name}*: {about}" for name, about in _WAYS.values())
    return (
        "The weights of the sender and the receiver are averaged, after the sender's units were "
        "brought into another order, which changes nothing of what it computes "
        f"({answer.movable} sets of units can be reordered):\n\n{ways}\n\n"
        "What is averaged answers too weakly; so BatchNorm's statistics are counted anew at every "
        "point (without BatchNorm: each layer is rescaled), in one pass over "
        f"{answer.examples['train']} training images. Matching is that of Ainsworth et al. 2022 "
        "(https://arxiv.org/abs/2209.04836), counting anew that of Jordan et al. 2022 "
        "(https://arxiv.org/abs/2211.08403). The barrier is the largest loss above the straight "
        "line between the losses of the two ends, in nats."
    )
