"""What a command line asks of a stitch: family, start and objective, checked together."""

from collections.abc import Mapping
from typing import Any

import torch

from frankenstein.accumulators.moments import Moments
from frankenstein.catalog import STITCHES
from frankenstein.cli.verbs.stitch import stitch
from frankenstein.errors import UserError
from frankenstein.networks.checks import at_least
from frankenstein.runs.schema import REQUIRED, read_schema
from frankenstein.stitches import Stitch, start
from frankenstein.tasks import Objective, cka_regularized, direct_cka, direct_mse, target_objective

# Options that imply a family: its parameter takes the option's value.
_IMPLIES = {
    "low_rank": ("low_rank", "rank"),
    "l1": ("sparse", "l1"),
    "mask": ("matched", "rule"),
    "orthogonal": ("orthogonal", None),
}

# Starts from which every member of a family is equally far, or that are its only member.
_NO_START = {
    ("orthogonal", "ones-zeros"),
    ("permutation", "ones-zeros"),
    ("identity", "ones-zeros"),
    ("identity", "perm"),
}

# Options that act in training alone.
_TRAINING = (
    "cka_reg",
    "direct",
    "target_type",
    "lr",
    "weight_decay",
    "batch_size",
    "optimizer",
    "augment",
    "save_frequency",
    "precision",
)


def check_numbers(values: Mapping[str, Any]) -> None:
    """Refuse numbers that no stitch can be made or trained with.

    Raises:
        UserError: if one is too small, or the precision would change the frozen networks.
    """
    if values["precision"].endswith("-true") and values["precision"] != "32-true":
        raise UserError(
            f"--precision {values['precision']} would change the frozen networks, too; take "
            "32-true, 16-mixed or bf16-mixed"
        )
    at_least(
        epochs=(values["epochs"], 0),
        batch_size=(values["batch_size"], 1),
        save_frequency=(values["save_frequency"], 1),
        lr=(values["lr"], 0),
        weight_decay=(values["weight_decay"], 0),
        seed=(values["seed"], 0),
        seeds=(values["seeds"], 1),
        solve_on=(1 if values["solve_on"] is None else values["solve_on"], 1),
    )


def stitch_defaults() -> dict[str, Any]:
    """The values of stitch.py's options that need not be given."""
    options = read_schema(stitch).options.values()
    return {option.name: option.default for option in options if option.default is not REQUIRED}


def check_matrix(values: Mapping[str, Any]) -> None:
    """Refuse options that do nothing where every layer is stitched to every layer.

    Raises:
        UserError: if there is one.
    """
    defaults = stitch_defaults()
    if values["save_frequency"] != defaults["save_frequency"]:
        raise UserError(
            "--save-frequency is of the pictures of one stitch, and a matrix has none; leave it out"
        )
    if epochs_of(values):
        return
    if values["init"] not in (defaults["init"], "ps_inv"):
        raise UserError(
            f"--init {values['init']} is where training starts, and here there is none: every "
            "stitch is solved; leave it out"
        )
    if values["seeds"] > 1 and values["mask"] != "random-permutation":
        raise UserError(
            "--seeds repeats what is random, and stitches that are only solved have nothing "
            "random in them; train them or leave it out"
        )


def family_of(values: Mapping[str, Any]) -> str:
    """The family that --family names, or that another option implies.

    Raises:
        UserError: if the options contradict each other or one is missing.
    """
    used = [option for option in _IMPLIES if _is_used(values[option])]
    family = values["family"] or (_IMPLIES[used[0]][0] if used else "affine")
    for option in used:
        implied = _IMPLIES[option][0]
        if implied != family:
            raise UserError(
                f"{_flag(option)} belongs to {_a(implied)} stitch, and this one is {family}; "
                "leave one of the two out"
            )
    for option, (needing, parameter) in _IMPLIES.items():
        if parameter and needing == family and option not in used:
            raise UserError(f"{_a(family)} stitch needs {_flag(option)}")
    return family


def family_in_words(values: Mapping[str, Any]) -> str:
    """The family with what it was made with, such as "low_rank (rank 4)"."""
    family = family_of(values)
    said = [
        f"{parameter} {values[option]}"
        for option, (needing, parameter) in _IMPLIES.items()
        if parameter and needing == family
    ]
    return f"{family} ({', '.join(said)})" if said else family


def make_stitch(values: Mapping[str, Any], in_channels: int, out_channels: int) -> Stitch:
    """A stitch of the family asked for; what is random in it comes from the seed alone.

    Raises:
        UserError: if the family cannot be what the options say, or has no such start.
    """
    family = family_of(values)
    if (family, values["init"]) in _NO_START:
        raise UserError(
            f"--init {values['init']} singles out no {family} stitch; choose another start"
        )
    options = {
        parameter: values[option]
        for option, (needing, parameter) in _IMPLIES.items()
        if parameter and needing == family
    }
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(values["seed"])
        return STITCHES[family](in_channels, out_channels, **options)


def start_stitch(stitch: Stitch, values: Mapping[str, Any], moments: Moments) -> Stitch:
    """The stitch at the start that --init names."""
    how = {"ps_inv": "solved"}.get(values["init"], values["init"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(values["seed"])
        return start(stitch, how, moments)


def epochs_of(values: Mapping[str, Any]) -> int:
    """Epochs of training: none for a family that follows no gradient, one to debug."""
    if not STITCHES[family_of(values)].trainable:
        return 0
    return min(1, values["epochs"]) if values["debug"] else values["epochs"]


def objective_of(values: Mapping[str, Any]) -> Objective:
    """What the stitch is trained for.

    Raises:
        UserError: if the options contradict each other.
    """
    direct, weight, hard = values["direct"], values["cka_reg"], values["target_type"] == "hard"
    if not epochs_of(values):
        _check_untrained(values)
    if direct and not hard:
        raise UserError(
            "--direct fits the target representation, where --target-type has no part; "
            "leave one of the two out"
        )
    if hard and values["temperature"] != 1:
        raise UserError("--temperature softens the answers of a teacher; choose a --target-type")
    if direct == "cka" and weight:
        raise UserError("--direct cka is CKA alone; leave --cka-reg out or take --direct mse")
    objective = {
        None: target_objective(values["target_type"], values["temperature"]),
        "mse": direct_mse,
        "cka": direct_cka,
    }[direct]
    return cka_regularized(objective, weight) if weight else objective


def _check_untrained(values: Mapping[str, Any]) -> None:
    """Refuse what acts in training where there is none; the defaults are as good as not given."""
    family, defaults = family_of(values), stitch_defaults()
    trainable = STITCHES[family].trainable
    if not trainable and values["epochs"] not in (0, defaults["epochs"]):
        raise UserError(
            f"--epochs {values['epochs']} asks for training, and a stitch of family {family} has "
            "no parameters to train; leave it out"
        )
    why = "--epochs 0 leaves none" if trainable else f"a stitch of family {family} has none"
    for option in _TRAINING:
        sets_how_few = option == "batch_size" and values["debug"]
        if values[option] != defaults[option] and not sets_how_few:
            flag = "--no-augment" if option == "augment" else _flag(option)
            raise UserError(f"{flag} acts in training, and {why}")


def _is_used(value: Any) -> bool:
    return value is not None and value is not False and value != "identity"


def _a(family: str) -> str:
    return f"{'an' if family[0] in 'aeiou' else 'a'} {family}"


def _flag(option: str) -> str:
    return f"--{option.replace('_', '-')}"
