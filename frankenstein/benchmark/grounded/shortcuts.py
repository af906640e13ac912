"""Networks that may read the class from a marker: told apart by how often it is right?

All are shown held-out images whose marker says nothing: what they see beside it counts.

Source: Geirhos et al. 2020, https://arxiv.org/abs/2004.07780, for shortcuts.
"""

from frankenstein.benchmark.grounded.grounded import RESI, Grounded, levels, separation

TEST = Grounded(
    "Do two networks rely on the same features?",
    f"Geirhos et al. 2020, https://arxiv.org/abs/2004.07780; {RESI}",
    levels("marker", "marker", (0.0, 0.25, 0.5, 0.75, 1.0)),
    separation,
    marked=True,
)
