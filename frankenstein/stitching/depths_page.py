"""What `depths` found, as figures: one curve for every stitch and control."""

from collections.abc import Mapping

from frankenstein.report import Picture
from frankenstein.report.layer_panels import layer_panels
from frankenstein.runs.fields import KINDS
from frankenstein.stitching.controls import CONTROLS, TRAINED
from frankenstein.stitching.depths import CKA, EXPLAINED
from frankenstein.stitching.evaluate import SAMPLED
from frankenstein.stitching.plan import StitchPlan
from frankenstein.stitching.same_maps import row_names, same_maps

_SHOWN = {
    EXPLAINED: (
        "R² with the receiver",
        (-1.0, 1.02),
        "R² of stitched with target: the share of the target's variance that the stitched "
        "representation explains as it is, from the cut to the logits; 0 for one that knows the "
        "target's mean alone. Below -1 nothing is drawn; `summary.json` has every number.",
    ),
    CKA: (
        "unbiased CKA with the receiver",
        (0.0, 1.02),
        "Unbiased CKA of stitched with target, per sample (of sentences the mean over tokens), "
        "from the cut to the logits. It does not feel a rotation, a shift or a scale, which the "
        "layers behind the cut do.",
    ),
}
_LOOKS = (
    " Black: what comes from the sender. *itself*, which is the receiver and has 1 everywhere, is "
    "not drawn."
)
_BOTH = " Stitches that are trained stand beside controls that are."
_BLACK = (*KINDS, "solved", "solved_ps_inv")
_ROWS = (*KINDS, *(row for row in CONTROLS if row != "itself"))


def depth_pictures(numbers: Mapping[str, float], plan: StitchPlan) -> list[Picture]:
    """A figure of R² and one of CKA by depth; none where no stitch was followed."""
    pictures = []
    for what, (title, limits, caption) in _SHOWN.items():
        found = _by_row(numbers, what)
        if not found:
            continue
        names = row_names([row for row in _ROWS if row in found], same_maps(numbers, plan))
        curves = {name: [*found[row].values()] for row, name in names.items()}
        if all(number >= 0 for values in curves.values() for number in values):
            limits = (0.0, limits[1])
        trained = [name for row, name in names.items() if row == "after" or row.endswith(TRAINED)]
        panels = {"": curves}
        if len(trained) > 1:
            panels = {
                "not trained": {name: curves[name] for name in curves if name not in trained},
                "trained": {name: curves[name] for name in trained},
            }
        figure = layer_panels(
            panels,
            {name: name.removesuffix(TRAINED) for name in curves},
            [name for row, name in names.items() if row in _BLACK],
            [*next(iter(found.values()))],
            "layer of the receiver",
            title,
            limits,
        )
        caption += _LOOKS + _BOTH * (len(panels) > 1)
        pictures.append(Picture(f"depth-{what.removeprefix('depth_')}", figure, caption))
    return pictures


def _by_row(numbers: Mapping[str, float], what: str) -> dict[str, dict[str, float]]:
    """{row: {depth: number}} from the cut to the logits, of stitches on the controls' images."""
    rows: dict[str, dict[str, float]] = {}
    for key, number in numbers.items():
        kind, _, row = key.partition("/")
        name, at, depth = kind.partition("@")
        if at and name == what and not depth.endswith("_spread"):
            rows.setdefault(row, {})[depth] = number
    return {row: rows.get(f"{row}{SAMPLED}", depths) for row, depths in rows.items()}
