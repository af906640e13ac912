"""`frankenstein layers`: where may a network be cut?"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from frankenstein.catalog import find_network
from frankenstein.cli.words import Words
from frankenstein.runs.fields import NetworkFields
from frankenstein.runs.plan import Command
from frankenstein.runs.schema import option

WORDS = Words(
    about="",
    examples="""
        frankenstein layers tiny10
        frankenstein layers torchvision/resnet18 --in-channels 3 --image-size 64
        frankenstein layers model_weights/tiny10/digits/in0-gn0.safetensors
        """,
    positionals=("name",),
    flags={"in_channels": "-c", "model": "-m"},
)


@dataclass(frozen=True, kw_only=True)
class LayersPlan(NetworkFields):
    """A network whose layers are listed."""

    verb: ClassVar[str] = "layers"

    name: str = option(
        about="network of the zoo, or a file that holds a trained one (.safetensors, .pt)"
    )
    in_channels: int = option(1, "channels of its images, for a network of the zoo")
    num_classes: int = option(10, "classes it tells apart, for a network of the zoo")
    image_size: int | None = option(
        None, "pixels of its images, for a network of the zoo that sees several sizes"
    )

    @property
    def is_file(self) -> bool:
        """Whether it is a saved network."""
        return Path(self.name).suffix != "" or Path(self.name).is_file()

    def check(self) -> None:
        """Refuse a name that the zoo does not know."""
        if not self.is_file:
            find_network(self.name)


def list_layers(plan: LayersPlan, command: Command) -> None:
    """Print the cut points of a network."""
    # Only here, because help and mistakes need no torch.
    from rich.console import Console
    from rich.table import Table

    from frankenstein.surgery import cut, cut_points
    from frankenstein.surgery.layouts import laid
    from frankenstein.zoo import build_network, load_network

    if plan.is_file:
        network = load_network(plan.name, plan.model)
    else:
        network = build_network(
            plan.name, plan.num_classes, plan.in_channels, image_size=plan.image_size
        )
    table = Table(title=f"cut points of {plan.name}")
    table.add_column("layer")
    table.add_column("units", justify="right")
    table.add_column("height x width", justify="right")
    for layer, shape in cut_points(network).items():
        # What has more axes than a map has no axis of units.
        units, places = "", " x ".join(map(str, shape))
        if len(shape) <= 3:
            _, layout = laid(cut(network, after=layer), shape)
            units, places = str(layout.units), layout.places
        table.add_row(layer, units, places)
    Console().print(table)
