"""The plan of `stitch`: which layers, what the stitch may be, what it is trained for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from frankenstein.catalog import OBJECTIVES, STITCHES, Entry, Objective
from frankenstein.errors import PlanError
from frankenstein.runs.fields import (
    DataFields,
    DescentFields,
    MeasureName,
    NetworkFields,
    ObjectiveName,
    PairFields,
    ResumeFields,
    RunFields,
    StitchName,
    TrainerFields,
)
from frankenstein.runs.plan import Plan
from frankenstein.runs.schema import option, options_of

# Fields that imply a family, and the parameter of it that takes the field's value.
FAMILY_OPTIONS = {
    "low_rank": ("low_rank", "rank"),
    "l1": ("sparse", "l1"),
    "mask": ("matched", "rule"),
    "anchors": ("relative", "anchors"),
    "orthogonal": ("orthogonal", None),
}

# Starts from which every member of a family is equally far, or that are its only member.
_NO_START = {
    ("orthogonal", "ones-zeros"),
    ("rotation", "ones-zeros"),
    ("permutation", "ones-zeros"),
    ("identity", "ones-zeros"),
    ("identity", "perm"),
}

WITHOUT_ANSWERS = ("hard", "soft_2")  # targets that take no answers of the sender

# Fields that act in training alone.
_TRAINING = (
    "objective",
    "then",
    "cka_reg",
    *(name for row in OBJECTIVES.values() for name in row.fields),
    "lr",
    "weight_decay",
    "batch_size",
    "optimizer",
    "augment",
    "save_frequency",
    "precision",
)


def _listed(rows: Mapping[str, Entry]) -> str:
    return "; ".join(f"{name}: {row.about}" for name, row in rows.items())


@dataclass(frozen=True, kw_only=True)
class LayerFields(Plan):
    """The one pair of layers of a stitch, or the many of a matrix."""

    group: ClassVar[str] = "all layers"

    sender_layer: str | None = option(None, "layer of the sender after which it is cut")
    receiver_layer: str | None = option(
        None, "layer of the receiver after which it is cut; called as the sender's if absent"
    )
    all: bool = option(
        False,
        "every key layer to every key layer: of each convolution or linear layer, or block of "
        "them, the first cut point behind its normalisation (8 of Tiny-10's 26 cut points, all of "
        "which compare.py takes); other layers by the two options below",
    )
    sender_layers: list[str] | None = option(
        None,
        "these layers of the sender only, any of its cut points (`frankenstein layers`); makes a "
        "matrix, too",
    )
    receiver_layers: list[str] | None = option(
        None, "these layers of the receiver only; makes a matrix, too"
    )
    seeds: int = option(
        1, "number of seeds, from SEED on; gives confidence intervals, of a matrix only", least=1
    )


@dataclass(frozen=True, kw_only=True)
class FamilyFields(Plan):
    """What the stitch may be, and where it starts."""

    group: ClassVar[str] = "stitch"

    family: StitchName | None = option(None, "what the stitch may be; affine if absent")
    low_rank: int | None = option(None, "rank of a low_rank stitch, which it implies")
    l1: float | None = option(None, "penalty on mean |W| of a sparse stitch, which it implies")
    orthogonal: bool = option(False, "a stitch that rotates")
    mask: Literal["identity", "semi-match", "abs-semi-match", "random-permutation", "match"] = (
        option(
            "identity",
            "how a matched stitch pairs units: one source unit for each target unit, by this rule; "
            "identity: no matched stitch",
        )
    )
    anchors: int | None = option(
        None,
        "images whose cosines are the coordinates of a relative stitch, which it implies; the same "
        "images that solving on as many takes",
        least=2,
    )
    flatten: bool = option(False, "map places, each of every unit, instead of units")
    init: Literal["random", "perm", "eye", "ps_inv", "ones-zeros"] = option(
        "random",
        "where training starts; ps_inv, the closed form of the stitch's own family, is the one to "
        "take: from the others training may not arrive, at low rank above all, and the run then "
        "warns. (The row `ps_inv` of the tables is something else: always the affine map.)",
    )
    match_spread: bool = option(
        False,
        "behind every closed form, controls' too, scale each target unit to the target's standard "
        "deviation, which least squares shrinks",
    )
    match_covariance: bool = option(
        False,
        "likewise the whole covariance, by the least move (Gaussian optimal transport)",
    )
    ridge: bool = option(
        False,
        "solve affine stitches by ridge regression, its strength chosen by five parts of the "
        "examples: for few of them; `ps_inv` stays least squares",
    )
    recount: bool = option(
        False,
        "count the statistics of the receiver's BatchNorms behind the cut anew on what is stitched "
        "of training images, for every stitch and every control",
    )
    solve_on: int | None = option(None, "training images to solve on; all if absent", least=1)


@dataclass(frozen=True, kw_only=True)
class ObjectiveFields(Plan):
    """What the stitch is trained for."""

    group: ClassVar[str] = "objective"

    objective: ObjectiveName | None = option(
        None, "what is fitted, task if absent: " + _listed(OBJECTIVES)
    )
    then: Literal["task"] | None = option(
        None,
        "fit this after the objective, for as many epochs again, from a fresh optimizer and the "
        "whole learning rate",
    )
    direct: Literal["mse", "cka"] | None = option(
        None,
        "the objective direct by squared error (which it is if absent) or by CKA; implies it",
    )
    align_layers: list[str] | None = option(
        None,
        "layers of the receiver behind the cut that latent_alignment fits, beside the cut, the "
        "penultimate layer and the logits; its key layers if absent",
    )
    align_weights: list[float] | None = option(
        None,
        "weights of latent_alignment: the cut's, one for each of those layers in order, the "
        "penultimate one's if it is not among them, the logits'; equal if absent",
    )
    target_type: Literal["hard", "soft_1", "soft_2", "soft_12", "soft_1_plus_2"] = option(
        "hard",
        "what is learned: labels (hard), or soft answers of the sender (soft_1), of the receiver "
        "(soft_2), of both by the mean of the two losses (soft_12), or of the mean of their logits "
        "(soft_1_plus_2)",
    )
    temperature: float = option(1.0, "softmax temperature of both answers, for soft targets")
    cka_reg: float = option(
        0.0,
        "weight of CKA(stitched, target) in the loss, in that of a second stage, too; below 0 it "
        "rewards likeness",
    )


@dataclass(frozen=True, kw_only=True)
class StitchPlan(
    TrainerFields,
    ResumeFields,
    RunFields,
    DescentFields,
    ObjectiveFields,
    FamilyFields,
    NetworkFields,
    DataFields,
    LayerFields,
    PairFields,
):
    """Front of the sender, a stitch, end of the receiver; or every layer to every layer."""

    verb: ClassVar[str] = "stitch"

    augment: bool = option(
        True,
        "change training images at random, as the data set does",
        off="train on images as they are, not changed at random; so the sender's representations "
        "are computed once and kept, if they fit in half of the free memory",
    )
    seed: int = option(
        0,
        "seed of the stitch's random start, of the batch order, and of which images solve_on and "
        "anchors take",
        least=0,
        changes="seed",
    )
    untrained: int = option(
        5,
        "senders with random weights, whose stitches are the control: its mean and spread are over "
        "them; each costs two passes over a thousand images or so",
        least=1,
    )
    controls: Literal["few", "all"] = option(
        "few",
        "all: beside untrained senders those that fool a stitch, solved and trained alike: noise "
        "that depends on the class, a network that reads a marker, one of random labels, one of "
        "other data, the pixels; their networks are trained once a data set and kept in the cache",
    )
    measures: list[MeasureName] = option(
        ["unbiased_cka", "linear_cka", "mean_cca"],
        "similarity of stitched to target; a matrix has source to target, by those that follow "
        "from means and covariances (unbiased_cka does not; compare.py has it)",
    )
    save_frequency: int = option(
        10, "a picture of the stitch is kept every so many steps, times the epochs", least=1
    )
    debug: bool = option(False, "one epoch of three batches, to see whether it runs")

    @property
    def is_matrix(self) -> bool:
        """Whether layers are crossed."""
        return bool(self.all or self.sender_layers or self.receiver_layers)

    @property
    def layers(self) -> tuple[str, str]:
        """The sender's and the receiver's layer of a single stitch."""
        assert self.sender_layer is not None
        assert self.receiver_layer is not None
        return self.sender_layer, self.receiver_layer

    @property
    def family_name(self) -> str:
        """The family that `family` names, or that another field implies."""
        return self.family or next((FAMILY_OPTIONS[name][0] for name in self._implying), "affine")

    @property
    def family_options(self) -> dict[str, Any]:
        """What a stitch of the family is made with, such as {"rank": 4}."""
        return {
            parameter: getattr(self, name)
            for name, (family, parameter) in FAMILY_OPTIONS.items()
            if parameter and family == self.family_name
        }

    @property
    def family_in_words(self) -> str:
        """The family with what it is made with, such as "low_rank (rank 4)"."""
        options = ", ".join(f"{name} {value}" for name, value in self.family_options.items())
        return f"{self.family_name} ({options})" if options else self.family_name

    @property
    def put_right(self) -> str | None:
        """What is put right behind closed forms: "spread", "covariance" or nothing."""
        if self.match_covariance:
            return "covariance"
        return "spread" if self.match_spread else None

    @property
    def objective_name(self) -> str:
        """The objective that `objective` names, or that `direct` implies."""
        return self.objective or ("direct" if self.direct else "task")

    @property
    def objective_row(self) -> Objective:
        """Its row of the catalog."""
        return OBJECTIVES[self.objective_name]

    @property
    def trained_epochs(self) -> int:
        """Epochs of training, of all stages: none for a family that follows no gradient.

        One of each stage to debug.
        """
        if not STITCHES[self.family_name].trainable:
            return 0
        each = min(1, self.epochs) if self.debug else self.epochs
        return each * (2 if self.then else 1)

    @property
    def debug_images(self) -> int | None:
        """How many images are enough to debug; None for all of them."""
        return 3 * self.batch_size if self.debug else None

    @property
    def all_seeds(self) -> list[int]:
        """Those that stitches are trained from."""
        return [*range(self.seed, self.seed + self.seeds)]

    @property
    def _implying(self) -> list[str]:
        values = {name: getattr(self, name) for name in FAMILY_OPTIONS}
        return [
            name
            for name, value in values.items()
            if value is not None and value is not False and value != "identity"  # 0 is a value
        ]

    def __post_init__(self) -> None:
        if self.receiver_layer is None and not self.is_matrix:
            object.__setattr__(self, "receiver_layer", self.sender_layer)
        super().__post_init__()

    def check(self) -> None:
        """Refuse fields that contradict each other.

        Raises:
            PlanError: if layers are missing or named in two ways, if two families are meant, or if
                a field has no effect beside the others.
        """
        self._check_layers()
        self._check_family()
        self._check_objective()
        if self.precision.endswith("-true") and self.precision != "32-true":
            raise PlanError(
                f"‹precision› {self.precision} would change the frozen networks, too; take "
                "32-true, 16-mixed or bf16-mixed"
            )
        if self.is_matrix:
            self._check_matrix()

    def _check_layers(self) -> None:
        lists = ("all", "sender_layers", "receiver_layers")
        given = next((name for name in lists if getattr(self, name)), None)
        for side in ("sender", "receiver"):
            layer = getattr(self, f"{side}_layer")
            if given and layer is not None:
                raise PlanError(
                    f"‹{given}› takes no ‹{side}_layer›, got {layer!r}; use ‹{side}_layers› {layer}"
                )
            if not given and layer is None:
                raise PlanError(
                    f"missing ‹{side}_layer› (layer of the {side} after which it is cut)"
                )
        if not given and self.seeds != 1:
            raise PlanError(
                "‹seeds› belongs to a matrix of stitches: say ‹all›, or for an interval of this "
                f"one pair ‹sender_layers› {self.sender_layer} ‹receiver_layers› "
                f"{self.receiver_layer} ‹seeds› {self.seeds}"
            )

    def _check_family(self) -> None:
        family = self.family_name
        for name in self._implying:
            implied = FAMILY_OPTIONS[name][0]
            if implied != family:
                raise PlanError(
                    f"‹{name}› belongs to {_a(implied)} stitch, and this one is {family}; "
                    "leave one of the two out"
                )
        for name, (needing, parameter) in FAMILY_OPTIONS.items():
            if parameter and needing == family and name not in self._implying:
                raise PlanError(f"{_a(family)} stitch needs ‹{name}›")
        if self.match_spread and self.match_covariance:
            raise PlanError(
                "‹match_covariance› puts the spread right, too; leave ‹match_spread› out"
            )
        if self.put_right and self.put_right not in STITCHES[family].puts_right:
            able = [name for name, row in STITCHES.items() if self.put_right in row.puts_right]
            raise PlanError(
                f"‹match_{self.put_right}› does not go with {_a(family)} stitch; take "
                f"{' or '.join(able)}"
            )
        if self.ridge and family != "affine":
            raise PlanError(
                f"‹ridge› solves affine stitches, and this one is {family}; leave one of the two "
                "out"
            )
        if family == "relative" and self.init != "ps_inv":
            raise PlanError("a relative stitch is solved and starts nowhere; take ‹init› ps_inv")
        if STITCHES[family].trainable and not STITCHES[family].affine and not self.trained_epochs:
            raise PlanError(
                f"{_a(family)} stitch has no closed form, and ‹epochs› 0 trains none; take affine, "
                "which it would be"
            )
        if family == "conv3x3" and self.flatten:
            raise PlanError("‹flatten› leaves no neighbours, which a conv3x3 stitch sees")
        if (family, self.init) in _NO_START:
            raise PlanError(
                f"‹init› {self.init} singles out no {family} stitch; choose another start"
            )

    def _check_objective(self) -> None:
        if not self.trained_epochs:
            self._check_untrained()
        name = self.objective_name
        if self.then and name == "task":
            raise PlanError("‹then› task follows another ‹objective›, and this one is task already")
        hard = self.target_type == "hard"
        if self.controls == "all" and self.target_type not in WITHOUT_ANSWERS:
            raise PlanError(
                f"‹target_type› {self.target_type} takes the sender's answers, and ‹controls› all "
                "has senders without any; take hard or soft_2"
            )
        if hard and self.temperature != 1:
            raise PlanError(
                "‹temperature› softens the answers of a teacher; choose a ‹target_type›"
            )
        for other, row in OBJECTIVES.items():
            for field in row.fields:
                if other != name and getattr(self, field) != self.default(field):
                    raise PlanError(
                        f"‹{field}› belongs to the objective {other}, and this one is {name}; "
                        "leave it out"
                    )
        aligned = self.align_layers or []
        for layer in aligned:
            if aligned.count(layer) > 1:
                raise PlanError(f"‹align_layers› names {layer} more than once; name it once")
        if self.direct == "cka" and self.cka_reg:
            raise PlanError("‹direct› cka is CKA alone; leave ‹cka_reg› out or take ‹direct› mse")

    def _check_untrained(self) -> None:
        """Refuse what acts in training where there is none; defaults are as good as not given."""
        family = self.family_name
        trainable = STITCHES[family].trainable
        if not trainable and self.epochs not in (0, self.default("epochs")):
            raise PlanError(
                f"‹epochs› {self.epochs} asks for training, and a stitch of family {family} has "
                "no parameters to train; leave it out"
            )
        why = "‹epochs› 0 leaves none" if trainable else f"a stitch of family {family} has none"
        for name in _TRAINING:
            sets_how_few = name == "batch_size" and self.debug
            if getattr(self, name) != self.default(name) and not sets_how_few:
                raise PlanError(f"‹{name}› acts in training, and {why}")

    def _check_matrix(self) -> None:
        """Refuse what does nothing where every layer is stitched to every layer."""
        if self.save_frequency != self.default("save_frequency"):
            raise PlanError(
                "‹save_frequency› is of the pictures of one stitch, and a matrix has none; leave "
                "it out"
            )
        if self.ridge:
            raise PlanError(
                "‹ridge› is chosen by parts of the examples, and a matrix keeps no sums of parts; "
                "leave it out"
            )
        if not STITCHES[self.family_name].from_sums:
            raise PlanError(
                f"{_a(self.family_name)} stitch is solved by examples, and a matrix keeps sums; "
                "leave one of the two out"
            )
        if self.recount:
            raise PlanError(
                "‹recount› gives every stitch a receiver of its own, and a matrix has one; leave "
                "it out"
            )
        if self.controls != "few":
            raise PlanError(
                f"‹controls› {self.controls} are those of one stitch, and a matrix has untrained "
                "senders; leave it out"
            )
        for name in ("align_layers", "align_weights"):
            if getattr(self, name):
                raise PlanError(
                    f"‹{name}› is of what lies behind one cut, and a matrix has many; leave it out"
                )
        if self.devices not in ("auto", "1") or self.strategy != "auto":
            raise PlanError("a matrix of stitches is made on one device; leave out ‹devices›")
        if self.precision not in ("32-true", "bf16-mixed"):
            raise PlanError(
                f"a matrix of stitches is trained in 32-true or bf16-mixed, got {self.precision}"
            )
        if self.trained_epochs:
            return
        if self.init not in (self.default("init"), "ps_inv"):
            raise PlanError(
                f"‹init› {self.init} is where training starts, and here there is none: every "
                "stitch is solved; leave it out"
            )
        if self.seeds > 1 and self.mask != "random-permutation":
            raise PlanError(
                "‹seeds› repeats what is random, and stitches that are only solved have nothing "
                "random in them; train them or leave it out"
            )

    def default(self, name: str) -> Any:
        """What a field is if it is not given."""
        return options_of(type(self))[name].default


def _a(family: str) -> str:
    return f"{'an' if family[0] in 'aeiou' or family == 'mlp' else 'a'} {family}"
