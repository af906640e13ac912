from types import SimpleNamespace

from frankenstein.stitching.run import cost_of
from frankenstein.surgery.layouts import Layout


def joint(units, grid=()):
    layout = Layout("map" if grid else "vector", units, grid)
    return SimpleNamespace(source=layout, target=layout)


def cost(*work):
    return cost_of(*work, decomposing=lambda: 0.2)


def test_few_units_cost_nothing_worth_telling():
    assert cost(joint(64, (20, 20)), 60_000, 60_000, 10_000) is None


def test_images_fewer_than_units_take_memory_but_little_time():
    said = cost(joint(5408), 1437, 1437, 360)
    assert said.startswith("algebra over 5,408 and 5,408 units takes about 1,")
    assert said.endswith("MiB")


def test_time_is_told_before_sums_over_many_units_are_decomposed():
    said = cost(joint(5408), 60_000, 60_000, 10_000)
    assert said.endswith("minutes in which no bar moves")
    more = cost(joint(5408, (2, 2)), 1437, 1437, 360)  # four rows an image
    assert more.endswith("minutes in which no bar moves")
