"""`frankenstein layers`: where may a network be cut?"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from frankenstein.catalog import DATASETS, find_network
from frankenstein.cli.words import Words
from frankenstein.runs.fields import DataName, ModelFields
from frankenstein.runs.plan import Command
from frankenstein.runs.schema import option
from frankenstein.source import GRAMMAR, parse_source

if TYPE_CHECKING:
    from frankenstein.surgery.layouts import Layout

WORDS = Words(
    about="",
    examples="""
        frankenstein layers tiny10
        frankenstein layers torchvision/resnet18 --size 64
        frankenstein layers model_weights/tiny10/digits/in0-gn0.safetensors
        frankenstein layers timm/vit_tiny_patch16_224
        frankenstein layers my_nets.py:small -d digits
        """,
    positionals=("name",),
    flags={"in_channels": "-c", "model": "-m"},
)


_WIDEST = 1000  # letters of a line


@dataclass(frozen=True, kw_only=True)
class LayersPlan(ModelFields):
    """A network whose layers are listed."""

    verb: ClassVar[str] = "layers"

    name: str = option(about=f"network: {GRAMMAR}", source=True)
    dataset: DataName | None = option(
        None,
        "data set, or your own code, whose examples it takes, where the network does not say which "
        "it takes",
        source=True,
    )
    in_channels: int | None = option(
        None,
        "channels of its images, where the network does not say; of the zoo 1 if absent",
        least=1,
    )
    num_classes: int = option(10, "classes it tells apart, for a network of the zoo", least=1)
    size: int | None = option(
        None, "pixels of its images, for a network that sees several sizes or does not say", least=1
    )

    def check(self) -> None:
        """Refuse a name that is none."""
        source = parse_source(self.name)
        if source.kind == "file" and not Path(self.name).suffix and not Path(self.name).exists():
            find_network(self.name)


def list_layers(plan: LayersPlan, command: Command) -> None:
    """Print the cut points of a network."""
    # Only here, because help and mistakes need no torch.
    from rich.console import Console
    from rich.table import Table

    from frankenstein.networks.network import open_network
    from frankenstein.surgery import cut_points
    from frankenstein.surgery.blocks import blocks_at
    from frankenstein.surgery.layouts import layout_of
    from frankenstein.surgery.units import unit_axis
    from frankenstein.zoo import build_network

    source, inputs = parse_source(plan.name), None
    made = source.kind != "file" and source.weights is None and source.seed is None
    if made and source.kind in ("zoo", "torchvision"):
        row = DATASETS.get(plan.dataset or "")
        shown = row.in_channels if row else None
        channels = plan.in_channels or shown or (1 if source.kind == "zoo" else 3)
        network = build_network(plan.name, plan.num_classes, channels, image_size=plan.size)
    else:  # layers are there without trained weights
        source = replace(source, seed=0) if made else source
        opened = open_network(
            str(source),
            model=plan.model,
            dataset=plan.dataset,
            size=plan.size,
            channels=plan.in_channels,
        )
        network, inputs = opened.module, dict(opened.inputs) or None
    rows, kinds = [], set()
    for layer, shape in cut_points(network, inputs=inputs).items():
        if len(shape) > 3:  # more axes than a map has: none of them is known to be of units
            rows.append((layer, "", " x ".join(map(str, shape))))
            continue
        layout = layout_of(shape, unit_axis(network, layer, inputs))
        rows.append((layer, str(layout.units), _places(layout)))
        kinds.add(layout.kind)
    table = Table(title=f"cut points of {plan.name}")
    table.add_column("layer", no_wrap=True)
    table.add_column("units", justify="right")
    table.add_column("places" if "tokens" in kinds else "height x width", justify="right")
    if blocks := blocks_at(network, inputs):  # names that compare, stitch and extract take, too
        table.add_column("block that ends there", no_wrap=True)
    for cells in rows:
        table.add_row(*cells, *([blocks.get(cells[0], "")] if blocks else []))
    console = Console(markup=False, emoji=False)
    whole = Console(width=_WIDEST).measure(table).maximum
    console.width = max(console.width, whole)  # so that no name is cut
    console.print(table, crop=False)


def _places(layout: "Layout") -> str:
    """Where each unit has a value: of tokens how many, a class token by itself."""
    if layout.kind != "tokens":
        return layout.places
    sides = [str(side) for side in layout.grid if side > 1]
    return " x ".join(sides or "1") + (" + 1" if layout.extra else "") + " tokens"
