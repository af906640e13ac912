"""CKA of the populations that units are a sample of, as examples are of theirs."""

from torch import Tensor

from frankenstein.accumulators.reservoir import Reservoir, reservoir_of
from frankenstein.accumulators.small_sample import centred_rows
from frankenstein.measures.kernels import centred_without_diagonal
from frankenstein.measures.undefined import nothing_to_compare, undefined


def feature_corrected_cka(x: Tensor | Reservoir, y: Tensor | None = None) -> Tensor:  # ()
    """Linear CKA corrected for few units as well as few examples; about 0 for unrelated ones.

    Units are taken for a random sample of many more, as neurons that were recorded are. A HSIC of
    one with itself then holds each unit's product with itself, which makes `unbiased_cka` too low;
    here only products of two units count. An estimate with no bounds: it may be above 1, and of a
    representation with itself it is, for those are the same units. So it feels a rotation, which
    makes other units. NaN with a warning where a representation does not vary, for fewer than four
    examples, and where its units have no more in common than chance.

    Source: Chun et al. 2025, https://arxiv.org/abs/2502.15104: the unbiased HSIC of Song et al.
    2012, eq. 5, below the line without the terms of one unit with itself.
    Cost: O(N² (D + E)) time and O(N²) memory for N kept examples.

    Raises:
        ShapeError: if x and y hold a different number of examples.
        UserError: if there are no examples, NaN or Inf among them, or only sums of them.
    """
    examples, name = reservoir_of(x, y), "feature_corrected_cka"
    reason = nothing_to_compare(examples)
    if not reason and examples.n_kept < 4:
        reason = f"it needs at least 4 examples, got {examples.n_kept}"
    if reason:
        return undefined(examples.x.double(), name, reason)
    kernels, sizes = [], []
    for given, called in ((examples.x, "first"), (examples.y, "second")):
        rows = centred_rows(given)
        rows = rows / rows.abs().max()
        units = rows.shape[1]
        kernels.append(centred_without_diagonal(rows @ rows.T))
        together = kernels[-1].square().sum()
        shared = together - _of_each_unit(rows).sum()
        if units < 2 or shared <= 1e-12 * together:
            reason = f"the units of the {called} representation have no more in common than chance"
            return undefined(rows, name, reason)
        sizes.append(shared * units / (units - 1))
    return (kernels[0] * kernels[1]).sum() / (sizes[0] * sizes[1]).sqrt()


def _of_each_unit(rows: Tensor) -> Tensor:  # (D,)
    """n (n - 3) times the unbiased HSIC of every unit with itself; rows have mean 0.

    Song's terms of a kernel a aᵀ without its diagonal, where Σ a = 0.
    """
    n = len(rows)
    second, fourth = rows.square().sum(0), rows.pow(4).sum(0)
    return second.square() * (1 + 1 / ((n - 1) * (n - 2))) - fourth * n / (n - 2)
