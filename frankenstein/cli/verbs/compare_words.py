"""The words behind `compare`: which of them are networks, layers and measures."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

from frankenstein.catalog import DATASETS, MEASURES
from frankenstein.cli.errors import UsageError
from frankenstein.errors import UserError, did_you_mean

ALIASES = {  # Dr. Frankenstein's words
    "cka": "linear_cka",
    "cca": "mean_cca",
    "l2": "mean_squared_distance",  # over the number of units
    "ps_inv": "r_squared",
    "corr": "unit_correlation",
}
MeasureWord = Annotated[str, (*MEASURES, *ALIASES)]
_LAYERS = ("sender_layer", "receiver_layer")
_PLACES = ("receiver", *_LAYERS)


def sorted_out(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values with every measure among the measures, wherever it stands behind SENDER.

    Raises:
        UsageError: if what is left does not say what to compare.
    """
    words = [values[place] for place in _PLACES if values[place] is not None]
    known = (*MEASURES, *ALIASES)
    count = next((i for i, word in enumerate(words) if word in known), len(words))
    found = dict(values) | dict.fromkeys(_PLACES) | dict(zip(_PLACES, words[:count], strict=False))
    found["measures"] = [*words[count:], *values["measures"]]
    for word in found["measures"]:
        if word not in known:
            near = did_you_mean(word, known) or "; layers go before measures"
            near = f"; say -d {word}" if word in DATASETS else near
            raise UsageError(f"{word!r} is no measure{near}")
    _check(found, is_run=Path(values["sender"]).is_dir())
    if Path(values["sender"]).is_dir():
        found["stitch"] = values["stitch"] or "after"
    return found


@contextmanager
def layers_or_measures(values: Mapping[str, Any]) -> Iterator[None]:
    """Say of a layer that is not there which measure it may have been meant to be.

    Raises:
        UserError: with that said, in place of the one that was raised.
    """
    try:
        yield
    except UserError as error:
        for word in (word for side in _LAYERS for word in layers_of(values[side]) or []):
            near = did_you_mean(word, (*MEASURES, *ALIASES))
            said = str(error)
            if near and f"has no layer {word!r}" in said and "did you mean" not in said:
                raise UserError(f"no layer and no measure is called {word!r}{near}") from None
        raise


def is_table(values: Mapping[str, Any]) -> bool:
    """Whether two single representations are compared: a run's, or two layers' by measures."""
    layers = [values[side] for side in _LAYERS]
    return bool(values["stitch"] or (values["measures"] and all(map(_is_single, layers))))


def layers_of(words: str | None) -> list[str] | None:
    """Layers as they are asked for, "bn1,bn3" as two; None for all cut points."""
    return None if words is None else [word for word in words.split(",") if word]


def _is_single(words: str | None) -> bool:
    names = layers_of(words) or []
    return len(names) == 1 and not set(names[0]) & set("*?[ ") and names[0] != "modules"


def _check(values: Mapping[str, Any], is_run: bool) -> None:
    sender, receiver = values["sender"], values["receiver"]
    if is_run and receiver is not None:
        raise UsageError(
            f"behind the run {sender} there are measures only, got {receiver!r}"
            + did_you_mean(receiver, (*MEASURES, *ALIASES))
        )
    if is_run:
        return
    for option in ("stitch", "layer"):
        if values[option] is not None:
            raise UsageError(f"--{option} is for the folder of a run, and {sender} is none")
    if receiver is None:
        raise UsageError("missing RECEIVER (file of the second network)")
    if "l2" in values["measures"] and not is_table(values):
        raise UsageError(
            "l2 is of two single layers: name SENDER_LAYER and RECEIVER_LAYER, or take "
            "mean_squared_distance"
        )
