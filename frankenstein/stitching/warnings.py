"""Warnings for those who read the scores of a stitch."""

from collections.abc import Mapping

from torch import Tensor

from frankenstein.report.tables import format_value
from frankenstein.stitching.evaluate import SAMPLED
from frankenstein.stitching.plan import StitchPlan

_ROWS_A_UNIT = 4


def stitch_warnings(numbers: Mapping[str, float], plan: StitchPlan) -> list[str]:
    """A line if training ended below the closed form, or an untrained sender does as well.

    One accuracy is clearly below another if their 95 % intervals do not overlap; a control of a
    sample is held against `after` on the same sample. `plan` is that of
    the stitching run; nothing is said where there is no "after" among the numbers.
    """
    if "accuracy/after" not in numbers:
        return []
    why, what = [], "what it reaches is no sign of what the sender has learned"
    solved, sampled = _solved(numbers, plan), f"after{SAMPLED}"
    after = sampled if f"accuracy/{sampled}" in numbers else "after"
    beside = f", beside {_share(numbers, after)} on the same images" if after == sampled else ""
    if solved and _below(numbers, after if solved == "solved" else "after", solved):
        same = beside if solved == "solved" else ""
        why.append(f"clearly below `{solved}` ({_share(numbers, solved)}{same})")
        what = "it is not its family's best; " + (
            "take a smaller lr" if plan.init == "ps_inv" else "start it at ps_inv"
        )
    if "accuracy/untrained" in numbers and not _below(numbers, "untrained", after):
        stands = "clearly below" if _below(numbers, after, "untrained") else "not clearly above"
        why.append(f"{stands} `untrained` ({_share(numbers, 'untrained')}{beside})")
    line = f"`after` ({_share(numbers, 'after')}) is {' and '.join(why)}: {what}"
    return [line] if why else []


def few_examples_warnings(
    plan: StitchPlan,
    rows: int,  # places of images that stitches are solved on
    units: int,  # of the source
) -> list[str]:
    """A line if least squares has hardly more rows than unknowns of every target unit.

    Near as many as units its error explodes; of four times as many it is a third above the least
    (of unrelated noise units / (rows - units - 1)). A ridge and a rotation do not fall apart.
    """
    by_least_squares = ("affine", "low_rank", "batchnorm", "conv3x3", "mlp")
    fits = plan.family_name in by_least_squares and not plan.ridge
    if not fits or rows > _ROWS_A_UNIT * units:
        return []
    better = "an orthogonal stitch" if plan.is_matrix else "a ridge or an orthogonal stitch"
    return [
        f"{rows:,} rows are few for least squares over {units:,} units, which falls apart near as "
        f"many rows as units: solve on more, or take {better}"
    ]


def one_image_warnings(
    labels: Tensor,  # (N,) of held-out images, one class each
    places: int,  # of an image at the cut
) -> list[str]:
    """A line if no class has two images, and likeness within classes is told of places alone."""
    if places < 2 or len(labels) < 2 or len(labels.unique()) < len(labels):
        return []
    return [
        "no class has two held-out images: likeness within classes says how the places of one "
        "image differ, and not how images of one class do"
    ]


def _solved(numbers: Mapping[str, float], plan: StitchPlan) -> str | None:
    """The row of the closed form of the stitch's own family, if there is one.

    That of the run itself where there is one: the control is solved on fewer images.
    """
    row = "ps_inv" if plan.family_name == "affine" else "solved"
    row = "before" if plan.init == "ps_inv" else row
    return row if f"accuracy/{row}" in numbers else None


def _share(numbers: Mapping[str, float], row: str) -> str:
    return format_value(numbers[f"accuracy/{row}"], percent=True)


def _below(numbers: Mapping[str, float], one: str, other: str) -> bool:
    return numbers[f"accuracy_high/{one}"] < numbers[f"accuracy_low/{other}"]
