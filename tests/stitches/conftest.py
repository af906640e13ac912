import pytest

from frankenstein.catalog import STITCHES

OPTIONS = {"low_rank": {"rank": 2}, "sparse": {"l1": 0.1}, "matched": {"rule": "match"}}


@pytest.fixture(params=STITCHES)
def family(request):
    """Makes stitches of one family after another: every row of the catalog is held to the laws."""
    name = request.param

    def make(in_channels, out_channels):
        return STITCHES[name](in_channels, out_channels, **OPTIONS.get(name, {})).double()

    make.name = name
    return make
