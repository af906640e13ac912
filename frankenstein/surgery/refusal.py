"""What surgery answers where it can do nothing."""

from frankenstein.errors import UserError


class LayerError(UserError):
    """A layer that is not there, or after which a network cannot be cut; the message says more."""


class ValuesError(LayerError):
    """A network that runs and has no graph: mostly its steps depend on the values in its input."""
