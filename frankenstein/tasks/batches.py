"""What a task makes of a batch, whatever loader it comes from."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from frankenstein.data.examples import Examples
from frankenstein.data.given import Given, given
from frankenstein.data.loaders import check_batches, come_again, without
from frankenstein.errors import UserError
from frankenstein.surgery import Cut, seeing

_KNOWN = {"source", "target", "target_later"}  # of `tasks.Unaugmented`


class Reading:
    """Reads batches for two networks, as the first of them shows.

    A pair of tensors, inputs and labels, stays as it is; so does what `Unaugmented` knows of them.
    """

    def __init__(self, networks: Sequence[nn.Module], own: bool = False) -> None:
        """`own`: batches are pairs of this project's, such as numbers of sentences and labels."""
        self.networks, self.own = list(networks), own
        self.given: Given | None = None

    def __call__(self, batch: Any) -> tuple[Any, Any]:
        """Inputs and labels; labels are None if there are none."""
        if self.given is None and (self.own or _is_pair(batch)):
            return batch[0], batch[1]
        if self.given is None:
            self.given = given(batch, self.networks)
        inputs, labels = self.given.read(batch)
        return as_weights(inputs, self.networks[-1]), labels

    def halves(self, halves: Cut, network: nn.Module, inputs: Any) -> Cut:
        """Halves of one of the networks, whose front takes what that network does of the inputs."""
        if self.given is None or not isinstance(inputs, Examples):
            return halves
        return Cut(seeing(halves.front, self.given.look(network)), halves.end)

    def labelled(self, batches: Iterable[Any]) -> Iterator[tuple[Any, Any]]:
        """All batches of a loader; on several processes no example a second time.

        Raises:
            UserError: for a data set, or a loader whose examples cannot be told apart there.
        """
        check_batches(batches)
        for index, batch in enumerate(batches):
            inputs, labels = self(batch)
            again = come_again(batches, index, len(inputs))
            yield without((inputs, labels), again)


def as_weights(inputs: Any, network: nn.Module) -> Any:
    """Inputs in the precision of a network's weights; ids stay as they are."""
    some = next((x for x in network.parameters() if x.is_floating_point()), None)
    if some is None or (isinstance(inputs, Tensor) and not inputs.is_floating_point()):
        return inputs
    return inputs.to(some.dtype)


def check_labels_there(labels: Any) -> None:
    """Refuse an objective that needs labels where there are none.

    Raises:
        UserError: with what needs none.
    """
    if labels is None:
        raise UserError(
            "the batches have no labels, which task loss and accuracy need; give (inputs, labels)"
        )


def _is_pair(batch: Any) -> bool:
    """Whether a batch is inputs and labels as all of this project's are."""
    if not isinstance(batch, list | tuple) or len(batch) != 2 or not isinstance(batch[1], Tensor):
        return False
    inputs = batch[0]
    if isinstance(inputs, Mapping):
        return {*inputs} <= _KNOWN
    if isinstance(inputs, Examples):
        return True
    return isinstance(inputs, Tensor) and inputs.is_floating_point() and inputs.ndim > 1
