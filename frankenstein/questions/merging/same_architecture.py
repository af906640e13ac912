"""Whether two networks have the same weights to average."""

from torch import nn

from frankenstein.errors import UserError


def same_architecture(sender: nn.Module, receiver: nn.Module) -> None:
    """Refuse networks whose weights have other names or shapes.

    Raises:
        UserError: if they differ, with the first that does.
    """
    shapes = [
        {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        for network in (sender, receiver)
    ]
    for name in [*shapes[0], *shapes[1]]:
        one, other = (of_name.get(name, "none") for of_name in shapes)
        if one != other:
            raise UserError(
                f"networks of one architecture can be merged, got {name!r} of shape {one} and "
                f"{other}; take two that differ in their seeds only"
            )
