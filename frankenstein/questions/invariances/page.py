"""What a report says of images that layers take for the same."""

from collections.abc import Mapping

from frankenstein.errors import counted
from frankenstein.questions.invariances.answer import MARKER, UNTRAINED, InvariancesAnswer
from frankenstein.report import (
    Picture,
    Section,
    by_layer,
    curves,
    format_value,
    interval_text,
    markdown_table,
    short_number,
)
from frankenstein.report.image_grid import image_grid

_REACHED = 0.1  # of a distance is left at most, or images do not count as the same
_WHO = {  # whose layer is to be the same: what the report calls it
    "receiver": "receiver itself",
    "sender": "sender",
    UNTRAINED: "untrained sender",
    MARKER: "marker",
}
_SUMMARY = (
    "Images of another class, changed until a layer gives what it gives of the goal: how often the "
    "receiver then answers as for the goal. What the sender is above the two controls it shares."
)
_FINDINGS = (
    "The receiver answers to {1} of the images that are the same to the sender at {layer} as to "
    "the goal; to {2} of those of untrained senders, and to {0} of its own.",
)
_SHARES = (
    "How often the receiver answers as for the goal, of images that are the same as the goal to a "
    "layer: of its own, of the sender's, of untrained senders', and of that of a network which "
    "reads a marker. The first is the most that can be asked for."
)
_IMAGES = (
    "Inputs that are the same to a layer, {layer}. The goal, the image that it was begun from, and "
    "what became of it once the layer of each network gives of it what it gives of the goal."
)


def invariances_section(title: str, answer: InvariancesAnswer) -> Section:
    """Shares by layer, a table, and the images."""
    numbers, layers = answer.numbers, answer.layers
    depth = range(len(layers))
    lines = {
        name: (depth, [numbers[f"as_goal/{who}/{layer}"] for layer in layers])
        for who, name in _WHO.items()
    }
    controls = [_WHO[who] for who in (UNTRAINED, MARKER)]
    figure = curves(
        lines,
        x_label="layer",
        y_label="answered as the goal",
        limits=(-0.03, 1.03),
        ticks=layers,
        controls=controls,
    )
    rows = [
        [layer, name, *_cells(numbers, f"{who}/{layer}")]
        for layer in layers
        for who, name in _WHO.items()
    ]
    header = ["layer", "the same to", "as the goal", "as the other", "distance left"]
    blocks: tuple[str | Picture, ...] = (
        _about(answer),
        *_not_reached(answer),
        Picture("shares", figure, _SHARES),
        markdown_table(rows, header, right=header[2:]),
        *(_grid(answer, layer) for layer in layers),
    )
    short = [(name, f"as_goal/{who}/{{}}", "%") for who, name in _WHO.items()]
    return Section(title, blocks, by_layer(_SUMMARY, numbers, layers, short, _FINDINGS))


def _not_reached(answer: InvariancesAnswer) -> list[str]:
    """A warning of layers to which most images are not the same yet."""
    numbers = answer.numbers
    far = [
        f"{layer} ({name})"
        for layer in answer.layers
        for who, name in _WHO.items()
        if numbers[f"left/{who}/{layer}"] > _REACHED
    ]
    if not far:
        return []
    return [
        f"**Warning:** more than {_REACHED:g} of the distance is left at {', '.join(far)}: these "
        "images are not the same to the layer yet, and their shares say nothing; take more "
        "inversion steps."
    ]


def _cells(numbers: Mapping[str, float], place: str) -> list[str]:
    share = format_value(numbers[f"as_goal/{place}"], percent=True)
    if f"as_goal_low/{place}" in numbers:
        low, high = (numbers[f"as_goal_{end}/{place}"] for end in ("low", "high"))
        share = f"{share} ({interval_text(low, high)})"
    else:
        spread = short_number(100 * numbers[f"as_goal_spread/{place}"], ".2f")
        share = f"{share} ± {spread}"
    start = format_value(numbers[f"as_start/{place}"], percent=True)
    return [share, start, f"{numbers[f'left/{place}']:.1e}"]


def _grid(answer: InvariancesAnswer, layer: str) -> Picture:
    made = {name: answer.alike[layer, who] for who, name in _WHO.items() if who != UNTRAINED}
    made[_WHO[UNTRAINED]] = answer.untrained[layer][0]
    blocks = {
        **answer.shown,
        **{name: made[name].images for name in _WHO.values()},
    }
    figure = image_grid({name: images[:, None] for name, images in blocks.items()}, answer.pairs)
    return Picture(f"images-{layer}", figure, _IMAGES.format(layer=layer))


def _about(answer: InvariancesAnswer) -> str:
    twins = len(next(iter(answer.untrained.values())))
    return (
        f"{answer.images} held-out images are goals. Beside each stands an image of another class, "
        f"which the receiver answers as the goal in {answer.before:.1%} of the cases. It is "
        f"changed by {answer.steps} steps of Adam, pixels between black and white, until a layer "
        "gives of it what it gives of the goal (Feather et al. 2019; Nanda et al. 2022, "
        "https://arxiv.org/abs/2206.11939). *As the goal* is how often the receiver then answers "
        "what it answers to the goal, with a 95 % interval; *as the other*, what it answered to "
        "the image that it was begun from; *distance left* is the median of what is left of the "
        "squared distance between the two representations, 0 where they are the same. No stitch "
        "is needed.\n\n"
        "- *receiver itself*: of its own layer, the most that can be asked for;\n"
        "- *sender*: what its layer does not see, the receiver need not see either;\n"
        f"- *untrained sender*: mean ± standard deviation over {counted(twins, 'network')} with "
        "random weights;\n"
        "- *marker*: the sender's architecture, trained on and shown images with a bright square "
        "whose place tells the class: it knows the class and not the image.\n\n"
        "Of more than three pairs of layers three are asked about, evenly from the first "
        "to the last; name layers to ask of others."
    )
