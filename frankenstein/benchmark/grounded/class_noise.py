"""A source that knows the class and nothing else: is it less like a network than a network is?

Each class is a random pattern with as much noise on it: whoever looks at classes alone takes it for
a network.

Source: the question is that of Smith, Mannering & Marcu 2025; see `stitching.frauds`.
"""

from dataclasses import replace
from functools import partial

from torch import nn

from frankenstein.benchmark.grounded.grounded import STANDARD, Grounded, violated_by
from frankenstein.benchmark.readings import Readings, Rows
from frankenstein.stitching.frauds import ClassNoise


def noise(readings: Readings) -> Readings:
    """The same with class noise in the place of every network."""
    made = {}
    for name, rows in readings.rows.items():
        draw = ClassNoise(readings.classes, rows.fit.shape[1:], nn.Identity())
        fit = draw(rows.fit, readings.fit_labels)
        made[name] = Rows(fit, draw(rows.held, readings.labels))
    return replace(readings, rows=made)


TEST = Grounded(
    "Do two networks share more than the classes?",
    "Smith, Mannering & Marcu 2025, for the question",
    (STANDARD,),
    partial(violated_by, sign=-1),
    more=noise,
)
