"""What a run is called unless --run-name says it: its networks, its data set, what it did."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from frankenstein.cli.cards import short_name
from frankenstein.cli.stitch_options import epochs_of, family_of
from frankenstein.zoo import read_card


def networks_name(
    files: Sequence[str], dataset: str | None, model: str | None = None, between: str = "-"
) -> str:
    """Saved networks and the data set they see: `tiny10-in0-gn0-in1-gn1-fashion`.

    Of each the architecture, unless the one before has the same, and what its file or folder is
    called, without what would be said twice.
    """
    words: list[str] = []
    before = None
    for file in files:
        card = read_card(file, model)
        architecture = card.architecture.rpartition("/")[2]  # torchvision/resnet18
        label = short_name(file).removeprefix("torchvision-")
        for known in (f"{architecture}-{card.dataset}", architecture):
            label = label.removeprefix(f"{known}-")
        words.append(label if before in (architecture, label) else f"{architecture}-{label}")
        before = architecture
    return "-".join([between.join(words), *([dataset] if dataset else [])])


def run_label(folder: str, dataset: str | None) -> str:
    """What is done with a run's stitches: the run, and the data set if it is given anew."""
    return "-".join([Path(folder).resolve().name, *([dataset] if dataset else [])])


def stitch_name(values: Mapping[str, Any], dataset: str | None) -> str:
    """A stitching run: networks, data set, layers, and every option that makes it unlike others.

    A matrix of which nothing is trained starts nowhere: it is solved.
    """
    words = [networks_name((values["sender"], values["receiver"]), dataset, values["model"])]
    layers = [layer for side in ("sender", "receiver") if (layer := values[f"{side}_layer"])]
    words += layers or ["all"]
    words += [values["init"] if layers or epochs_of(values) else "solved"]
    words += [family] if (family := family_of(values)) != "affine" else []
    for option, short in (("low_rank", "r"), ("l1", "l1-"), ("cka_reg", "cka"), ("direct", "")):
        words += [f"{short}{values[option]}"] if values[option] else []
    words += [values["mask"]] if values["mask"] != "identity" else []
    words += ["flat"] if values["flatten"] else []
    words += [values["target_type"]] if values["target_type"] != "hard" else []
    words += [f"t{values['temperature']}"] if values["temperature"] != 1 else []
    words += [f"on{values['solve_on']}"] if values["solve_on"] else []
    words += [] if values["augment"] else ["unaugmented"]
    return "-".join(words)
