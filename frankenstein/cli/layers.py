"""`frankenstein layers`: where may a network be cut?"""

from typing import Annotated

from frankenstein.catalog import NETWORKS
from frankenstein.errors import UserError, did_you_mean


def layers(
    name: str,
    *,
    in_channels: Annotated[int, "-c"] = 1,
    num_classes: int = 10,
) -> None:
    """List the layers after which a network may be cut, in order, with their shapes.

    Args:
        name: network of the zoo, or a .safetensors file that holds a trained one
        in_channels: channels of its images, for a network of the zoo
        num_classes: classes it tells apart, for a network of the zoo

    Examples:
        frankenstein layers tiny10
        frankenstein layers tiny10 --in-channels 3
        frankenstein layers model_weights/tiny10/digits/in0-gn0.safetensors
    """
    saved = name.endswith(".safetensors")
    if not saved and name not in NETWORKS:
        raise UserError(
            f"unknown network {name!r}; wanted: {', '.join(NETWORKS)} "
            f"or a .safetensors file{did_you_mean(name, NETWORKS)}"
        )
    from rich.console import Console
    from rich.table import Table

    from frankenstein.surgery import cut_points
    from frankenstein.zoo import build_network, load_network

    network = load_network(name) if saved else build_network(name, num_classes, in_channels)
    table = Table(title=f"cut points of {name}")
    table.add_column("layer")
    table.add_column("units", justify="right")
    table.add_column("height x width", justify="right")
    for layer, shape in cut_points(network).items():
        table.add_row(layer, str(shape[0]), " x ".join(map(str, shape[1:])))
    Console().print(table)
