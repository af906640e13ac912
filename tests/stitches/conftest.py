import pytest

from frankenstein.catalog import STITCHES

OPTIONS = {"low_rank": {"rank": 2}, "sparse": {"l1": 0.1}, "matched": {"rule": "match"}}
OPTIONS["relative"] = {"anchors": 5}


def maker(name):
    def make(in_channels, out_channels):
        return STITCHES[name](in_channels, out_channels, **OPTIONS.get(name, {})).double()

    make.name = name
    return make


@pytest.fixture(params=[name for name, row in STITCHES.items() if row.affine])
def family(request):
    """Makes stitches of one family after another: every affine one is held to the laws."""
    return maker(request.param)


@pytest.fixture(params=STITCHES)
def any_family(request):
    """The same of every row of the catalog."""
    return maker(request.param)
