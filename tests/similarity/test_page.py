import pytest
import torch

from frankenstein.similarity.page import _number


@pytest.mark.parametrize(
    ("value", "shown"), [(-1e-4, "0.000"), (-0.0061, "-0.006"), (float("nan"), "n/a")]
)
def test_a_number_that_rounds_to_nothing_has_no_sign(value, shown):
    assert _number(torch.tensor(value)) == shown
