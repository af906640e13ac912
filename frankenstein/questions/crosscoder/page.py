"""What a report says of a crosscoder."""

from collections.abc import Mapping

import torch

from frankenstein.questions.crosscoder.scores import CrosscoderScores
from frankenstein.report import Picture, Section, Short, curves, markdown_table, short_number

CROSSCODER = "crosscoder.safetensors"
_KINDS = {
    "networks": "networks",
    "shuffled": "shuffled",
    "untrained_receiver": "untrained receiver",
}
_COLUMNS = {
    "explained_sender": "explained, sender",
    "explained_receiver": "explained, receiver",
    "dead": "dead",
    "shared": "shared",
    "exclusive_sender": "sender's alone",
    "exclusive_sender_in_truth": "in truth",
    "exclusive_receiver": "receiver's alone",
    "exclusive_receiver_in_truth": "in truth",
}
_SHORT = {  # in the terminal
    "shared": "shared",
    "exclusive_sender_in_truth": "sender's alone in truth",
    "exclusive_receiver_in_truth": "receiver's alone in truth",
}
_SUMMARY = (
    "Shares of the active features of one dictionary of both layers. In truth: those that the "
    "other network has neither in what is not rebuilt nor by other features."
)
_ABOUT = (
    "One dictionary rebuilds the units of a place of both layers from the same few features "
    "(Lindsey et al. 2024, https://transformer-circuits.pub/2024/crosscoders); each layer counts "
    "alike. Every feature has a direction in each network. It is *shared* where the receiver's is "
    "0.4 to 0.6 of both lengths together, and one network's *alone* where the other's is under "
    "0.1. Sparsity, of an L1 penalty above all, makes features look alone that are not. So *in "
    "truth* are those whose latent scaling (Minder et al. 2025, https://arxiv.org/abs/2504.02922) "
    "is under 0.2 of what is not rebuilt, and under 0.5 of what is.\n\n"
    "- *shuffled*: the receiver sees other images than the sender: nothing can be shared but by "
    "chance;\n"
    "- *untrained receiver*: what the images have in common with themselves."
)
_CAPTION = (
    "Length of the receiver's direction over that of both, of every active feature in order: 0 is "
    "the sender's alone, 0.5 shared, 1 the receiver's alone."
)


def crosscoder_section(
    title: str,
    label: str,
    images: int,
    scores: Mapping[str, CrosscoderScores],
    numbers: Mapping[str, float],
) -> Section:
    """A figure and a table, and a few rows for the terminal."""
    rows = [
        [name, *(short_number(numbers[f"{what}/{kind}/{label}"], "%") for what in _COLUMNS)]
        for kind, name in _KINDS.items()
    ]
    header = [f"features of {label}", *_COLUMNS.values()]
    shares = {
        name: scores[kind].share[scores[kind].live].cpu().sort().values
        for kind, name in _KINDS.items()
    }
    lines = {name: (torch.linspace(0, 1, len(one)), one) for name, one in shares.items()}
    figure = curves(
        lines, x_label="share of features", y_label="share of the receiver", controls=["shuffled"]
    )
    short = [
        [name, *(short_number(numbers[f"{what}/{kind}/{label}"], "%") for what in _SHORT)]
        for kind, name in _KINDS.items()
    ]
    return Section(
        title,
        (
            f"{_ABOUT}\n\nAll numbers are over {images} held-out images.",
            Picture("shares", figure, _CAPTION),
            markdown_table(rows, header, right=header[1:]),
            f"The crosscoder of the two networks is in `{CROSSCODER}`; "
            "`frankenstein.dictionaries.load_crosscoder` reads it.",
        ),
        short=Short(
            _SUMMARY,
            [label, *_SHORT.values()],
            short,
            _finding(label, scores["networks"].live, numbers),
        ),
    )


def _finding(label: str, live: torch.Tensor, numbers: Mapping[str, float]) -> str:
    """What the two networks share, beside what they share by chance and by the images alone."""
    shared = {kind: short_number(numbers[f"shared/{kind}/{label}"], "%") for kind in _KINDS}
    return (
        f"Of one dictionary of {label}, with {int(live.sum()):,} of {len(live):,} features active, "
        f"the two networks share {shared['networks']} of these; {shared['shuffled']} are shared "
        f"where images do not belong together, and {shared['untrained_receiver']} with an "
        "untrained receiver."
    )
