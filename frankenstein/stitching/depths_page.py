"""What `depths` found, as figures: one curve for every stitch and control."""

from collections.abc import Mapping

from frankenstein.report import Picture, curves
from frankenstein.stitching.controls import CONTROLS
from frankenstein.stitching.depths import CKA, EXPLAINED
from frankenstein.stitching.evaluate import SAMPLED

_SHOWN = {
    EXPLAINED: (
        "R²",
        (-1.0, 1.0),
        "R² of stitched with target: the share of the target's variance that the stitched "
        "representation explains as it is, from the cut to the logits; 0 for one that knows the "
        "target's mean alone. Below -1 nothing is drawn; `summary.json` has every number.",
    ),
    CKA: (
        "unbiased CKA",
        (0.0, 1.0),
        "Unbiased CKA of stitched with target, per sample (of sentences the mean over tokens), "
        "from the cut to the logits. It does not feel a rotation, a shift or a scale, which the "
        "layers behind the cut do.",
    ),
}


def depth_pictures(numbers: Mapping[str, float]) -> list[Picture]:
    """A figure of R² and one of CKA by depth; none where no stitch was followed."""
    pictures = []
    for what, (title, limits, caption) in _SHOWN.items():
        depths: dict[str, None] = {}
        rows: dict[str, list[float]] = {}
        for key, number in numbers.items():
            kind, _, row = key.partition("/")
            name, at, depth = kind.partition("@")
            told = at and name == what and not depth.endswith("_spread")
            if told and not row.endswith(SAMPLED):
                depths[depth] = None
                rows.setdefault(row, []).append(number)
        if not rows:
            continue
        x = [float(i) for i in range(len(depths))]
        if all(number >= 0 for values in rows.values() for number in values):
            limits = (0.0, limits[1])
        figure = curves(
            {row: (x, values) for row, values in rows.items()},
            f"{title} with the receiver, layer by layer",
            "layer of the receiver",
            title,
            limits,
            ticks=[*depths],
            controls=[row for row in rows if row in CONTROLS],
        )
        pictures.append(Picture(f"depth-{what.removeprefix('depth_')}", figure, caption))
    return pictures
