"""Which layers of several networks are held against each other."""

from collections.abc import Mapping

from frankenstein.errors import UserError

Layers = Mapping[str, tuple[str, ...]]  # by network, in order


def label_of(layers: Layers, key: tuple[str, str]) -> str | tuple[str, str]:
    """What a network's layer is called with those that it matches; itself if it matches none."""
    network, layer = key
    labels = matching_layers(layers)
    return next((label for label, one in labels.items() if one[network] == layer), key)


def same_layers(layers: Layers) -> bool:
    """Whether all networks have the same layers by name, as those of one architecture do."""
    return len(set(layers.values())) == 1


def matching_layers(layers: Layers) -> dict[str, dict[str, str]]:  # label: {network: layer}
    """Layers that stand for each other in all networks, by what they are called together.

    Those are layers that all have by the same name, in the order of the first network. Where there
    are none, and each network has as many, the first of each stand for each other, and so on.

    Raises:
        UserError: if networks share no name and have different numbers of layers.

    >>> matching_layers({"a": ("conv", "fc"), "b": ("fc", "conv", "relu")})
    {'conv': {'a': 'conv', 'b': 'conv'}, 'fc': {'a': 'fc', 'b': 'fc'}}
    >>> matching_layers({"a": ("layer4",), "b": ("blocks.11",)})
    {'layer4 / blocks.11': {'a': 'layer4', 'b': 'blocks.11'}}
    """
    first, *others = layers.values()
    shared = [name for name in first if all(name in other for other in others)]
    if shared:
        return {name: dict.fromkeys(layers, name) for name in shared}
    if len({len(names) for names in layers.values()}) > 1:
        some = {f"{len(names)} of {network}": None for network, names in layers.items()}
        raise UserError(
            f"these networks have no layer by the same name, and not as many layers: "
            f"{', '.join(list(some)[:4])}; name one layer of each, with commas between"
        )
    together = [dict(zip(layers, names, strict=True)) for names in zip(*layers.values())]  # noqa: B905
    return {" / ".join(dict.fromkeys(one.values())): one for one in together}
