"""`frankenstein layers`: where may a network be cut?"""

from pathlib import Path
from typing import Annotated

from frankenstein.catalog import find_network
from frankenstein.runs.types import NetworkName


def layers(
    name: str,
    *,
    in_channels: Annotated[int, "-c"] = 1,
    num_classes: int = 10,
    image_size: int | None = None,
    model: Annotated[NetworkName | None, "-m"] = None,
) -> None:
    """List the layers after which a network may be cut, in order, with what stitches see there.

    Args:
        name: network of the zoo, or a file that holds a trained one (.safetensors, .pt)
        in_channels: channels of its images, for a network of the zoo
        num_classes: classes it tells apart, for a network of the zoo
        image_size: pixels of its images, for a network of the zoo that sees several sizes
        model: network in a .pt file, which its shapes tell if absent

    Examples:
        frankenstein layers tiny10
        frankenstein layers torchvision/resnet18 --in-channels 3 --image-size 64
        frankenstein layers model_weights/tiny10/digits/in0-gn0.safetensors
    """
    saved = Path(name).suffix != "" or Path(name).is_file()
    if not saved:
        find_network(name)  # refuses unknown ones before torch is imported
    from rich.console import Console
    from rich.table import Table

    from frankenstein.surgery import cut, cut_points
    from frankenstein.surgery.layouts import laid
    from frankenstein.zoo import build_network, load_network

    if saved:
        network = load_network(name, model)
    else:
        network = build_network(name, num_classes, in_channels, image_size=image_size)
    table = Table(title=f"cut points of {name}")
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
