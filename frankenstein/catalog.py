"""Everything that has a name on the command line, as facts that are read before torch is imported.

To add a thing, write its function or class where the row says and add the row here; options, help
texts, the pages' tables and the law tests are made from these rows.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from operator import attrgetter
from typing import Any, Literal

from frankenstein.errors import UserError, did_you_mean
from frankenstein.lazy import importing


class Function(str):
    """A function or class by its place, "package.module:attribute"; imported at the first call."""

    @property
    def target(self) -> Any:
        """The function or class itself."""
        module, attribute = self.split(":")
        with importing():
            return attrgetter(attribute)(import_module(module))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self.target(*args, **kwargs)


_NONE = Function()


@dataclass(frozen=True)
class Entry:
    """A name that can be called; the module behind it is imported at the first call."""

    where: str  # "package.module:attribute"
    about: str  # one line for help texts

    @property
    def target(self) -> Any:
        """The function or class itself."""
        return Function(self.where).target

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it."""
        return self.target(*args, **kwargs)


@dataclass(frozen=True)
class Architecture(Entry):
    """A function `(num_classes, in_channels) -> nn.Module` and the image size it is made for.

    Functions whose networks can see images of other sizes also take `image_size`, and those that
    can start from trained weights take `weights`. Of a network that reads text, `num_classes` are
    tokens, 256 bytes, and there are no channels: 0.
    """

    image_size: int | None  # pixels, height and width; None: as its trained weights have it
    reads: Literal["images", "text"] = "images"
    options: Mapping[str, Any] = field(default_factory=dict, hash=False)  # that its name says

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call it, with what its name says."""
        return super().__call__(*args, **self.options, **kwargs)


@dataclass(frozen=True)
class Dataset(Entry):
    """A data set and what can be known of it without its files."""

    num_classes: int | None  # None: as many as its files have
    in_channels: int = 3  # of images; 0: it holds sentences
    multilabel: bool = False  # True: each image has or has not each of the num_classes labels


@dataclass(frozen=True)
class Stitch(Entry):
    """A stitch family: a class `(in_channels, out_channels, ...) -> nn.Module`."""

    trainable: bool = True  # False: it has a closed form only, no gradient to follow
    # What can be put right behind its closed form: units' spread by a scale each, or the whole
    # covariance by any matrix, too.
    puts_right: tuple[Literal["spread", "covariance"], ...] = ()
    affine: bool = True  # False: more than a matrix and bias, so without a closed form of its own
    from_sums: bool = True  # False: solved by anchors, which are examples


@dataclass(frozen=True)
class Objective(Entry):
    """What a stitch is trained for: a function of some fields to one of a `Pass` to a loss."""

    fields: tuple[str, ...] = ()  # of `StitchPlan`, that it takes and no other objective does
    # Layers behind the cut that it takes as `later`: the penultimate one, or all key layers to it.
    follows: Literal["nothing", "penultimate", "later"] = "nothing"


Question = Literal["geometry", "linear readout", "neighbours", "units"]


@dataclass(frozen=True)
class Measure(Entry):
    """A function of two representations to a scalar, and the laws that tests hold it to.

    It takes two matrices, or what was accumulated of them: `Moments` or `Folds` of moments where
    it follows from sums, `WithinClasses` of sums by class, else a `Reservoir`, and for "inputs" one
    that has kept the inputs too.
    """

    question: Question  # that it answers
    # What may be done to the first: "rotate", "scale", "shift", "permute", "mix" (invertible maps).
    invariant_to: frozenset[str]
    source: str
    range: tuple[float, float] = (0.0, 1.0)
    symmetric: bool = True
    perfect: float | None = 1.0  # the value of any representation with itself; None: its own
    needs: Literal["moments", "folds", "classes", "examples", "inputs"] = "moments"
    # Those of frankenstein.shapes that make sense, the one taken by default first.
    flattenings: tuple[str, ...] = ("per_location", "per_sample", "pooled", "last")
    # Whether means and covariances are enough, of "classes" those within them.
    from_second_moments: bool = False
    # Functions that only some have; empty for none.
    from_grams: Function = _NONE  # (Grams) -> all pairs of layers, per sample
    resampled: Function = _NONE  # (xs, ys, inputs) -> all pairs of any draw
    directions: Function = _NONE  # (Moments) -> canonical ones it averages over
    of_units: Function = _NONE  # (Moments) -> it of all pairs of units, to draw

    @property
    def by_unit(self) -> bool:
        """Whether it compares unit i with unit i."""
        return "permute" not in self.invariant_to

    @property
    def kept(self) -> str:
        """What is accumulated for it: "moments", "folds", "classes" or "examples"."""
        return "examples" if self.needs == "inputs" else self.needs


@dataclass(frozen=True)
class Verb(Entry):
    """A plan, the function `(plan, command) -> Run` that runs it, and what it does in one line."""

    runs: str  # "package.module:function"
    is_step: bool = True  # whether a study may run it: it makes one run

    @property
    def runner(self) -> Any:
        """The function that runs the plan."""
        return Function(self.runs).target


VERBS: Mapping[str, Verb] = {
    "demo": Verb(
        "frankenstein.studies.plan:DemoPlan",
        "Train two networks, stitch them in six ways, compare all layers, and show the outcome.",
        runs="frankenstein.studies.demo:run_demo",
        is_step=False,
    ),
    "train": Verb(
        "frankenstein.training.plan:TrainPlan",
        "Train a network of the zoo and save it.",
        runs="frankenstein.training.run:run_train",
    ),
    "stitch": Verb(
        "frankenstein.stitching.plan:StitchPlan",
        "Stitch the front of one trained network to the end of another.",
        runs="frankenstein.stitching.run:run_stitch",
    ),
    "evaluate": Verb(
        "frankenstein.stitching.evaluate_plan:EvaluatePlan",
        "Evaluate a saved network, or the stitches of a run, on held-out images.",
        runs="frankenstein.stitching.evaluate_run:run_evaluate",
    ),
    "compare": Verb(
        "frankenstein.similarity.plan:ComparePlan",
        "Compare two trained networks layer by layer, by any measures, on held-out images.",
        runs="frankenstein.similarity.run:run_compare",
    ),
    "analyze": Verb(
        "frankenstein.questions.plan:AnalyzePlan",
        "Ask in what two trained networks are alike: one question a switch, one report.",
        runs="frankenstein.questions.run:run_analyze",
    ),
    "study": Verb(
        "frankenstein.studies.plan:StudyPlan",
        "Do many runs with one command: networks and their pairs as a graph, or a list of steps.",
        runs="frankenstein.studies.run:run_study",
        is_step=False,
    ),
    "benchmark": Verb(
        "frankenstein.benchmark.plan:BenchmarkPlan",
        "Test which measure can be trusted, on networks that are known to differ.",
        runs="frankenstein.benchmark.run:run_benchmark",
        is_step=False,
    ),
    "worker": Verb(
        "frankenstein.studies.plan:WorkerPlan",
        "Do the runs of studies, one at a time, for a scheduler: on this machine or another.",
        runs="frankenstein.studies.cluster.worker:run_worker",
        is_step=False,
    ),
    "scheduler": Verb(
        "frankenstein.studies.plan:SchedulerPlan",
        "Hand out the runs of studies to workers on several machines.",
        runs="frankenstein.studies.cluster.start:run_scheduler",
        is_step=False,
    ),
    "layers": Verb(
        "frankenstein.cli.verbs.layers:LayersPlan",
        "List the layers after which a network may be cut, in order, with what stitches see there.",
        runs="frankenstein.cli.verbs.layers:list_layers",
        is_step=False,
    ),
    "open": Verb(
        "frankenstein.cli.verbs.open:OpenPlan",
        "Show a run's page, or that of all runs, in a browser.",
        runs="frankenstein.cli.verbs.open:open_page",
        is_step=False,
    ),
    "extract": Verb(
        "frankenstein.similarity.extract_plan:ExtractPlan",
        "Write layers of a network as a file of activations, which `compare` takes.",
        runs="frankenstein.similarity.extract:run_extract",
        is_step=False,
    ),
    "graft": Verb(
        "frankenstein.stitching.graft_plan:GraftPlan",
        "Write front, stitch and end of a finished stitch as one file that is a network.",
        runs="frankenstein.stitching.graft_file:run_graft",
        is_step=False,
    ),
    "report": Verb(
        "frankenstein.studies.plan:ReportPlan",
        "Join finished runs into one report: a seed study, a sweep over layers or ranks.",
        runs="frankenstein.studies.joined:run_report",
    ),
}

# Names with a blank, such as <k>, stand for many networks; `find_network` fills the blank.
ARCHITECTURES: Mapping[str, Architecture] = {
    "tiny10": Architecture(
        "frankenstein.zoo.tiny10:tiny10",
        "ten-layer convolutional network with BatchNorm (Dr. Frankenstein's Tiny-10)",
        image_size=32,
    ),
    "nbn_tiny10": Architecture(
        "frankenstein.zoo.tiny10:nbn_tiny10", "Tiny-10 without BatchNorm", 32
    ),
    "resnet20_w<k>": Architecture(
        "frankenstein.zoo.resnet20:resnet20", "ResNet-20 of widths 16k, 32k and 64k", 32
    ),
    "lenet": Architecture("frankenstein.zoo.small:lenet", "LeNet-5 with ReLU and max pooling", 32),
    "dense": Architecture(
        "frankenstein.zoo.small:dense", "three hidden layers of 300 units, ReLU", 32
    ),
    "dense_w<k>": Architecture(
        "frankenstein.zoo.small:dense", "three hidden layers of k units, ReLU", 32
    ),
    "mlp": Architecture("frankenstein.zoo.small:mlp", "784-32-16-10, tanh", 28),
    "vit_tiny": Architecture(
        "frankenstein.zoo.vit:vit_tiny",
        "vision transformer of 6 blocks of 64 units, on patches of 8x8 pixels",
        image_size=32,
    ),
    "inceptionv1": Architecture(
        "frankenstein.zoo.vision:inceptionv1",
        "torchvision's GoogLeNet without its auxiliary heads",
        image_size=224,
    ),
    "gpt_tiny": Architecture(
        "frankenstein.zoo.gpt_tiny:gpt_tiny",
        "causal transformer of four blocks of 64 units, on text in bytes",
        image_size=None,
        reads="text",
    ),
    "torchvision/<name>": Architecture(
        "frankenstein.zoo.vision:torchvision_network",
        "any classifier of torchvision, such as torchvision/resnet50",
        image_size=None,
    ),
}

# What may fill a blank in a name, and the type that a function takes it as.
_BLANKS = {
    "k": (r"[1-9]\d*", int),
    "name": (r"\w+", str),
    "FILE": (r".+", str),
    "FOLDER": (r".*/.*", str),  # or the name of one that is there
    "package": (r"[^\W\d]\w*(?:\.[^\W\d]\w*)*", str),
    "function": (r"[^\W\d][\w.]*", str),
}
# How a user's own data are named, beside the names of `DATASETS`: they are run as code.
OWN_DATA = ("<FILE>.py:<function>", "<package>:<function>")
# How a folder of images, and files of sentences, are: they become `folder` and `text`.
PLACES = ("<FOLDER>", "<FILE>.txt", "<FILE>.csv", "<FILE>.tsv")


def find_network(name: str) -> Architecture:
    """The row of a network, with what its name says in a blank of the row's.

    Raises:
        UserError: if there is no such row.

    >>> find_network("resnet20_w3").options
    {'k': 3}
    """
    for pattern, row in ARCHITECTURES.items():
        options = filled(pattern, name)
        if options is not None:
            return replace(row, options={**row.options, **options})
    known, near = ", ".join(ARCHITECTURES), did_you_mean(name, ARCHITECTURES)
    raise UserError(f"unknown network {name!r}; known: {known}{near}")


def filled(pattern: str, name: str) -> dict[str, Any] | None:
    """What a name says where the pattern has blanks; None if it does not fit.

    >>> filled("torchvision/<name>", "torchvision/resnet18"), filled("lenet", "lenet")
    ({'name': 'resnet18'}, {})
    """
    blanks = re.findall(r"<(\w+)>", pattern)
    form = re.escape(pattern)
    for blank in blanks:
        form = form.replace(f"<{blank}>", f"({_BLANKS[blank][0]})")
    match = re.fullmatch(form, name, re.ASCII)
    if match is None:
        return None
    words = zip(blanks, match.groups(), strict=True)
    return {blank: _BLANKS[blank][1](word) for blank, word in words}


DATASETS: Mapping[str, Dataset] = {
    "digits": Dataset(
        "frankenstein.data.digits:Digits",
        "1,797 handwritten digits of 8x8 pixels that ship with this package; no download",
        num_classes=10,
        in_channels=1,
    ),
    "fashion": Dataset(
        "frankenstein.data.idx:Fashion",
        "Fashion-MNIST, 70,000 pieces of clothing of 28x28 pixels",
        num_classes=10,
        in_channels=1,
    ),
    "mnist": Dataset(
        "frankenstein.data.idx:MNIST", "MNIST, 70,000 handwritten digits of 28x28 pixels", 10, 1
    ),
    "cifar10": Dataset(
        "frankenstein.data.cifar:CIFAR10",
        "CIFAR-10, 60,000 colour photographs of 32x32 pixels",
        num_classes=10,
    ),
    "cifar100": Dataset(
        "frankenstein.data.cifar:CIFAR100",
        "CIFAR-100, 60,000 colour photographs of 32x32 pixels",
        num_classes=100,
    ),
    "celeba": Dataset(
        "frankenstein.data.celeba:CelebA",
        "CelebA, 202,599 faces with or without each of 40 attributes",
        num_classes=40,
        multilabel=True,
    ),
    "folder": Dataset(
        "frankenstein.data.folder:Folder",
        "your images, in train/<class>/ and val/<class>/ or test/<class>/ of the data root",
        num_classes=None,
    ),
    "text": Dataset(
        "frankenstein.data.text:Text",
        "sentences: those of your file, or made-up ones with a grammar; no download",
        num_classes=None,
        in_channels=0,
    ),
    "synthetic": Dataset(
        "frankenstein.data.synthetic:Synthetic",
        "made-up colour images of any size, for benchmarks and tests; no download",
        num_classes=10,
    ),
}

STITCHES: Mapping[str, Stitch] = {
    "identity": Stitch(
        "frankenstein.stitches.identity:Identity",
        "changes nothing: are the two bases the same?",
        trainable=False,
    ),
    "permutation": Stitch(
        "frankenstein.stitches.permutation:Permutation",
        "one source unit for each target unit, by the assignment of largest total correlation",
        trainable=False,
    ),
    "matched": Stitch(
        "frankenstein.stitches.matched:Matched",
        "one source unit for each target unit, scaled and shifted, chosen by a rule",
        puts_right=("spread",),
    ),
    "orthogonal": Stitch("frankenstein.stitches.orthogonal:Orthogonal", "a rotation or reflection"),
    "rotation": Stitch(
        "frankenstein.stitches.orthogonal:Rotation",
        "the same about the origin, no shift: ls_orth of Dr. Frankenstein's code",
    ),
    "affine": Stitch(
        "frankenstein.stitches.affine:Affine",
        "any matrix and bias; solved, it is the pseudo-inverse",
        puts_right=("spread", "covariance"),
    ),
    "low_rank": Stitch(
        "frankenstein.stitches.low_rank:LowRank",
        "a matrix of rank at most R and bias; solved, it is reduced-rank regression",
        puts_right=("spread", "covariance"),
    ),
    "sparse": Stitch(
        "frankenstein.stitches.sparse:Sparse",
        "a matrix with many exact zeros and bias; solved, it is the lasso",
        puts_right=("spread",),
    ),
    "batchnorm": Stitch(
        "frankenstein.stitches.batchnorm:BatchNormed",
        "affine with BatchNorm before and behind in training: the source's scale does not matter",
        puts_right=("spread",),
    ),
    "conv3x3": Stitch(
        "frankenstein.stitches.conv3x3:Conv3x3",
        "a 3x3 convolution, which sees neighbours; solved, it is the affine map",
        puts_right=("spread", "covariance"),
        affine=False,
    ),
    "mlp": Stitch(
        "frankenstein.stitches.mlp:MLP",
        "two layers with a ReLU between, at every place; solved, it is the affine map",
        puts_right=("spread", "covariance"),
        affine=False,
    ),
    "relative": Stitch(
        "frankenstein.stitches.relative:Relative",
        "cosines to anchors, and from there a decoder that is solved on the receiver alone",
        trainable=False,
        affine=False,
        from_sums=False,
    ),
}

OBJECTIVES: Mapping[str, Objective] = {
    "task": Objective(
        "frankenstein.tasks.objectives.task:target_objective",
        "right answers, by labels or by teachers (task loss matching)",
        fields=("target_type", "temperature"),
    ),
    "direct": Objective(
        "frankenstein.tasks.objectives.direct:direct_objective",
        "the target representation at the cut (direct matching)",
        fields=("direct",),
    ),
    "final_features": Objective(
        "frankenstein.tasks.objectives.final_features:final_features",
        "the receiver's penultimate representation (Mai 2026)",
        follows="penultimate",
    ),
    "latent_alignment": Objective(
        "frankenstein.tasks.objectives.latent_alignment:latent_alignment",
        "the cut, every later key layer and the logits, all as in the receiver "
        "(functional latent alignment)",
        fields=("align_layers", "align_weights"),
        follows="later",
    ),
}

_KORNBLITH = "Kornblith et al. 2019, https://arxiv.org/abs/1905.00414"
_KRIEGESKORTE = "Kriegeskorte et al. 2008, https://doi.org/10.3389/neuro.06.004.2008"
_SONG = "Song et al. 2012, eq. 5, https://jmlr.org/papers/v13/song12a.html"
_LI = "Li et al. 2016, https://arxiv.org/abs/1511.07543"
_WILLIAMS = "Williams et al. 2021, https://arxiv.org/abs/2110.14739"
_KLABUNDE = "Klabunde et al. 2023, https://arxiv.org/abs/2305.06329"
_HUH = "Huh et al. 2024, https://arxiv.org/abs/2405.07987"
_KHOSLA = "Khosla & Williams 2023, https://arxiv.org/abs/2311.09466"
_CONWELL = "Conwell et al. 2022, https://doi.org/10.1101/2022.03.28.485868"
_WITHIN = "covariances within classes, Fisher 1936, in place of whole ones"
_RIGID = frozenset({"rotate", "scale", "shift", "permute"})
_LINEAR = _RIGID | {"mix"}
_MOTION = _RIGID - {"scale"}
_NEIGHBOURS = _RIGID - {"shift"}
_UNITWISE = frozenset({"scale", "shift", "permute"})
_PATTERN = frozenset({"scale", "permute"})  # of an example over units
# The nearest to a place is the place beside it: such measures take whole examples.
_BY_EXAMPLE = ("per_sample", "pooled", "last")
_DIRECTIONS = Function("frankenstein.measures.cca:canonical_directions")

MEASURES: Mapping[str, Measure] = {
    "linear_cka": Measure(
        "frankenstein.measures.cka:linear_cka",
        "linear centered kernel alignment; biased upwards when examples are few",
        question="geometry",
        invariant_to=_RIGID,
        source=f"{_KORNBLITH}, eq. 4",
        from_second_moments=True,
        resampled=Function("frankenstein.measures.cka:resampled_linear_cka"),
    ),
    "unbiased_cka": Measure(
        "frankenstein.measures.cka:unbiased_cka",
        "linear CKA from the unbiased HSIC: about 0 for unrelated representations",
        range=(-1.0, 1.0),
        question="geometry",
        invariant_to=_RIGID,
        source=f"{_SONG}; Nguyen et al. 2021, https://arxiv.org/abs/2010.15327",
        from_grams=Function("frankenstein.accumulators.grams:Grams.unbiased_cka"),
        resampled=Function("frankenstein.measures.cka:resampled_unbiased_cka"),
    ),
    "feature_corrected_cka": Measure(
        "frankenstein.measures.few_units:feature_corrected_cka",
        "linear CKA of what units are a sample of: corrected for few units and few examples",
        question="geometry",
        range=(float("-inf"), float("inf")),
        invariant_to=_UNITWISE,
        perfect=None,
        source="Chun et al. 2025, https://arxiv.org/abs/2502.15104",
        needs="examples",
        flattenings=("per_sample", "pooled", "last", "per_location"),
    ),
    "angular_cka_distance": Measure(
        "frankenstein.measures.cka:angular_cka_distance",
        "angle whose cosine is linear_cka; 0 is best (a distance, a metric)",
        question="geometry",
        range=(0.0, 1.5707963267948966),
        invariant_to=_RIGID,
        perfect=0.0,
        source=_WILLIAMS,
        from_second_moments=True,
        resampled=Function("frankenstein.measures.cka:resampled_angular_cka"),
    ),
    "rbf_cka": Measure(
        "frankenstein.measures.kernels:rbf_cka",
        "CKA with Gaussian kernels as wide as the median distance; biased upwards as linear_cka is",
        question="geometry",
        invariant_to=_RIGID,
        source=f"{_KORNBLITH}, eqs. 3 and 4",
        needs="examples",
        flattenings=("per_sample", "pooled", "last", "per_location"),
        resampled=Function("frankenstein.measures.cka:resampled_rbf_cka"),
    ),
    "unbiased_rbf_cka": Measure(
        "frankenstein.measures.kernels:unbiased_rbf_cka",
        "CKA with Gaussian kernels from the unbiased HSIC",
        range=(-1.0, 1.0),
        question="geometry",
        invariant_to=_RIGID,
        source=_SONG,
        needs="examples",
        flattenings=("per_sample", "pooled", "last", "per_location"),
        resampled=Function("frankenstein.measures.cka:resampled_unbiased_rbf_cka"),
    ),
    "deconfounded_cka": Measure(
        "frankenstein.measures.kernels:deconfounded_cka",
        "linear CKA of what the likeness of the inputs does not explain",
        question="geometry",
        invariant_to=_RIGID,
        source="Cui et al. 2022, https://arxiv.org/abs/2202.00095",
        needs="inputs",
        flattenings=_BY_EXAMPLE,
        resampled=Function("frankenstein.measures.cka:resampled_deconfounded_cka"),
    ),
    "procrustes_similarity": Measure(
        "frankenstein.measures.shape:procrustes_similarity",
        "cosine of the two, once the one is turned onto the other",
        question="geometry",
        invariant_to=_RIGID,
        source=_WILLIAMS,
        from_second_moments=True,
    ),
    "angular_shape_distance": Measure(
        "frankenstein.measures.shape:angular_shape_distance",
        "angle of the two, once the one is turned onto the other; 0 is best (a distance, a metric)",
        range=(0.0, 1.5707963267948966),
        question="geometry",
        invariant_to=_RIGID,
        perfect=0.0,
        source=f"{_WILLIAMS}, eq. 8",
        from_second_moments=True,
    ),
    "size_and_shape_distance": Measure(
        "frankenstein.measures.shape:size_and_shape_distance",
        "root mean square distance, one turned onto the other; 0 is best (a distance, a metric)",
        question="geometry",
        range=(0.0, float("inf")),
        invariant_to=_MOTION,
        perfect=0.0,
        source=f"{_WILLIAMS}, eq. 7",
        from_second_moments=True,
    ),
    "shared_dimensions": Measure(
        "frankenstein.measures.dimensions:shared_dimensions",
        "effective number of dimensions in which both vary alike; its own of a representation with "
        "itself",
        question="geometry",
        range=(0.0, float("inf")),
        invariant_to=_RIGID,
        perfect=None,
        source="Giaffar et al. 2024, https://proceedings.mlr.press/v238/giaffar24a.html",
        from_second_moments=True,
    ),
    "distance_correlation": Measure(
        "frankenstein.measures.all_pairs:distance_correlation",
        "correlation of centred distances of all pairs; biased upwards when examples are few",
        question="geometry",
        invariant_to=_RIGID,
        source="Székely et al. 2007, https://doi.org/10.1214/009053607000000505",
        needs="examples",
        flattenings=("per_sample", "pooled", "last", "per_location"),
        resampled=Function("frankenstein.measures.all_pairs:resampled_distance_correlation"),
    ),
    "rsm_norm_distance": Measure(
        "frankenstein.measures.all_pairs:rsm_norm_distance",
        "root mean square difference of the distances of all pairs; 0 is best (a distance)",
        question="geometry",
        range=(0.0, float("inf")),
        invariant_to=_MOTION,
        perfect=0.0,
        source=f"{_KLABUNDE}, RSM norm difference",
        needs="examples",
        flattenings=_BY_EXAMPLE,
        resampled=Function("frankenstein.measures.all_pairs:resampled_rsm_norm_distance"),
    ),
    "rsa_pearson": Measure(
        "frankenstein.measures.rsa:rsa_pearson",
        "correlation of how unlike all pairs of examples are in each",
        range=(-1.0, 1.0),
        question="geometry",
        invariant_to=_PATTERN,
        source=_KRIEGESKORTE,
        needs="examples",
        flattenings=_BY_EXAMPLE,
        resampled=Function("frankenstein.measures.rsa:resampled_rsa_pearson"),
    ),
    "rsa_spearman": Measure(
        "frankenstein.measures.rsa:rsa_spearman",
        "rank correlation of how unlike all pairs of examples are in each",
        range=(-1.0, 1.0),
        question="geometry",
        invariant_to=_PATTERN,
        source=_KRIEGESKORTE,
        needs="examples",
        flattenings=_BY_EXAMPLE,
        resampled=Function("frankenstein.measures.rsa:resampled_rsa_spearman"),
    ),
    "rsa_kendall": Measure(
        "frankenstein.measures.rsa:rsa_kendall",
        "Kendall's tau-b of how unlike all pairs of examples are in each",
        question="geometry",
        range=(-1.0, 1.0),
        invariant_to=_PATTERN,
        source=f"{_KRIEGESKORTE}; Nili et al. 2014, https://doi.org/10.1371/journal.pcbi.1003553",
        needs="examples",
        flattenings=_BY_EXAMPLE,
    ),
    "within_class_unbiased_cka": Measure(
        "frankenstein.measures.within_class:within_class_unbiased_cka",
        "unbiased_cka of what examples of one class have apart: class means are taken off both",
        range=(-1.0, 1.0),
        question="geometry",
        invariant_to=_RIGID,
        source=_WITHIN,
        needs="classes",
    ),
    "within_class_linear_cka": Measure(
        "frankenstein.measures.within_class:within_class_linear_cka",
        "linear_cka of the same; biased upwards when examples are few",
        question="geometry",
        invariant_to=_RIGID,
        source=_WITHIN,
        needs="classes",
        from_second_moments=True,
    ),
    "within_class_r_squared": Measure(
        "frankenstein.measures.within_class:within_class_r_squared",
        "r_squared of the same",
        symmetric=False,
        question="linear readout",
        invariant_to=_LINEAR,
        source=_WITHIN,
        needs="classes",
        from_second_moments=True,
    ),
    "mean_cca": Measure(
        "frankenstein.measures.cca:mean_cca",
        "mean canonical correlation",
        question="linear readout",
        invariant_to=_LINEAR,
        source="Hotelling 1936; Raghu et al. 2017, https://arxiv.org/abs/1706.05806",
        from_second_moments=True,
        directions=_DIRECTIONS,
    ),
    "mean_squared_cca": Measure(
        "frankenstein.measures.cca:mean_squared_cca",
        "mean squared canonical correlation",
        question="linear readout",
        invariant_to=_LINEAR,
        source=f"{_KORNBLITH}, table 1",
        from_second_moments=True,
        directions=_DIRECTIONS,
    ),
    "svcca": Measure(
        "frankenstein.measures.cca:svcca",
        "mean canonical correlation of the principal directions that hold 99 % of the variance",
        question="linear readout",
        invariant_to=_RIGID,
        source="Raghu et al. 2017, https://arxiv.org/abs/1706.05806",
        from_second_moments=True,
    ),
    "pwcca": Measure(
        "frankenstein.measures.cca:pwcca",
        "mean canonical correlation, weighted by what each accounts for in the first",
        symmetric=False,
        question="linear readout",
        invariant_to=_UNITWISE,
        source="Morcos et al. 2018, https://arxiv.org/abs/1806.05759",
        from_second_moments=True,
        directions=_DIRECTIONS,
    ),
    "eigenspace_overlap": Measure(
        "frankenstein.measures.cca:eigenspace_overlap",
        "squared canonical correlations over the larger rank: do both span the same space?",
        question="linear readout",
        invariant_to=_LINEAR,
        source="May et al. 2019, https://arxiv.org/abs/1909.01264",
        from_second_moments=True,
    ),
    "decoding_agreement": Measure(
        "frankenstein.measures.decoding:decoding_agreement",
        "agreement of what ridge regressions from both answer, whatever the target",
        question="linear readout",
        invariant_to=_RIGID,
        source="Harvey et al. 2024, https://arxiv.org/abs/2411.08197",
        from_second_moments=True,
    ),
    "gulp_distance": Measure(
        "frankenstein.measures.decoding:gulp_distance",
        "largest difference of what ridge regressions answer; 0 is best (a distance, a metric)",
        question="linear readout",
        range=(0.0, float("inf")),
        invariant_to=_RIGID,
        perfect=0.0,
        source="Boix-Adserà et al. 2022, https://arxiv.org/abs/2210.06545",
        from_second_moments=True,
    ),
    "r_squared": Measure(
        "frankenstein.measures.regression:r_squared",
        "share of the second representation's variance that a linear map of the first explains",
        symmetric=False,
        question="linear readout",
        invariant_to=_LINEAR,
        source=f"{_KORNBLITH}, table 1",
        from_second_moments=True,
    ),
    "reverse_r_squared": Measure(
        "frankenstein.measures.regression:reverse_r_squared",
        "share of the first representation's variance that a linear map of the second explains",
        symmetric=False,
        question="linear readout",
        invariant_to=_RIGID,
        source=f"{_KORNBLITH}, table 1",
        from_second_moments=True,
    ),
    "cross_validated_r_squared": Measure(
        "frankenstein.measures.regression:cross_validated_r_squared",
        "r_squared on examples that the map is not fitted to, in five parts; 0: no better than "
        "the mean",
        range=(float("-inf"), 1.0),
        symmetric=False,
        question="linear readout",
        invariant_to=_LINEAR,
        source="Stone 1974, https://doi.org/10.1111/j.2517-6161.1974.tb00994.x",
        needs="folds",
    ),
    "ridge_r_squared": Measure(
        "frankenstein.measures.ridge:ridge_r_squared",
        "cross_validated_r_squared with a ridge, chosen within the parts that are fitted to",
        question="linear readout",
        range=(float("-inf"), 1.0),
        symmetric=False,
        invariant_to=_RIGID,
        source=_CONWELL,
        needs="folds",
    ),
    "ridge_correlation": Measure(
        "frankenstein.measures.ridge:ridge_correlation",
        "mean over units of the second of their correlation with what ridge predicts of them",
        question="linear readout",
        range=(-1.0, 1.0),
        symmetric=False,
        invariant_to=_RIGID,
        source=f"Schrimpf et al. 2018, https://doi.org/10.1101/407007; {_CONWELL}",
        needs="folds",
    ),
    "mutual_knn": Measure(
        "frankenstein.measures.neighbours:mutual_knn",
        "share of an example's ten nearest that are so in both; ten over the others for unrelated",
        question="neighbours",
        invariant_to=_NEIGHBOURS,
        source=_HUH,
        needs="examples",
        flattenings=_BY_EXAMPLE,
        resampled=Function("frankenstein.measures.neighbours:resampled_knn"),
    ),
    "jaccard_similarity": Measure(
        "frankenstein.measures.neighbourhoods:jaccard_similarity",
        "examples among the ten nearest in both over those in either",
        question="neighbours",
        invariant_to=_NEIGHBOURS,
        source=f"{_KLABUNDE}, k-NN Jaccard similarity",
        needs="examples",
        flattenings=_BY_EXAMPLE,
        resampled=Function("frankenstein.measures.neighbourhoods:resampled_jaccard_similarity"),
    ),
    "rank_similarity": Measure(
        "frankenstein.measures.neighbourhoods:rank_similarity",
        "how alike the nearest that both have are ranked",
        question="neighbours",
        invariant_to=_NEIGHBOURS,
        source=f"{_KLABUNDE}, rank similarity",
        needs="examples",
        flattenings=_BY_EXAMPLE,
        resampled=Function("frankenstein.measures.neighbourhoods:resampled_rank_similarity"),
    ),
    "second_order_cosine": Measure(
        "frankenstein.measures.neighbourhoods:second_order_cosine",
        "cosine of an example's cosines with its ten nearest of either",
        question="neighbours",
        range=(-1.0, 1.0),
        invariant_to=_NEIGHBOURS,
        source="Hamilton et al. 2016, https://arxiv.org/abs/1606.02821",
        needs="examples",
        flattenings=_BY_EXAMPLE,
        resampled=Function("frankenstein.measures.neighbourhoods:resampled_second_order_cosine"),
    ),
    "cknna": Measure(
        "frankenstein.measures.neighbourhoods:cknna",
        "CKA of unit rows over pairs that are near in both",
        question="neighbours",
        range=(-1.0, 1.0),
        invariant_to=_NEIGHBOURS,
        source=_HUH,
        needs="examples",
        flattenings=_BY_EXAMPLE,
        resampled=Function("frankenstein.measures.neighbourhoods:resampled_cknna"),
    ),
    "cycle_knn": Measure(
        "frankenstein.measures.neighbourhoods:cycle_knn",
        "share of examples that one of their ten nearest in the second has near in the first",
        question="neighbours",
        symmetric=False,
        invariant_to=_NEIGHBOURS,
        perfect=None,
        source=_HUH,
        needs="examples",
        flattenings=_BY_EXAMPLE,
        resampled=Function("frankenstein.measures.neighbourhoods:resampled_cycle_knn"),
    ),
    "unit_correlation": Measure(
        "frankenstein.measures.units:unit_correlation",
        "mean Pearson correlation of unit i with unit i",
        range=(-1.0, 1.0),
        question="units",
        invariant_to=frozenset({"scale", "shift"}),
        source=_LI,
        from_second_moments=True,
        of_units=Function("frankenstein.measures.units:correlation_matrix"),
    ),
    "best_match_correlation": Measure(
        "frankenstein.measures.units:best_match_correlation",
        "mean correlation of each unit of the second with the likest unit of the first",
        range=(-1.0, 1.0),
        symmetric=False,
        question="units",
        invariant_to=_UNITWISE,
        source=_LI,
        from_second_moments=True,
    ),
    "matched_correlation": Measure(
        "frankenstein.measures.units:matched_correlation",
        "mean correlation of units paired one to one, as well as can be",
        range=(-1.0, 1.0),
        question="units",
        invariant_to=_UNITWISE,
        source=_LI,
        from_second_moments=True,
    ),
    "soft_matching_correlation": Measure(
        "frankenstein.measures.matching:soft_matching_correlation",
        "mean correlation of units matched softly, whatever their numbers, as well as can be",
        question="units",
        range=(-1.0, 1.0),
        invariant_to=_UNITWISE,
        source=_KHOSLA,
        from_second_moments=True,
    ),
    "partial_matching_correlation": Measure(
        "frankenstein.measures.matching:partial_matching_correlation",
        "mean correlation of the half of the units that match best, softly",
        question="units",
        range=(-1.0, 1.0),
        invariant_to=_UNITWISE,
        source="Kapoor et al. 2026, https://arxiv.org/abs/2602.19331",
        from_second_moments=True,
    ),
    "soft_matching_distance": Measure(
        "frankenstein.measures.matching:soft_matching_distance",
        "root mean square distance of units matched softly; 0 is best (a distance, a metric)",
        question="units",
        range=(0.0, float("inf")),
        invariant_to=frozenset({"shift", "permute"}),
        perfect=0.0,
        source=_KHOSLA,
        from_second_moments=True,
    ),
    "permutation_shape_distance": Measure(
        "frankenstein.measures.shape:permutation_shape_distance",
        "angle of the two, once units are paired one to one; 0 is best (a distance, a metric)",
        question="units",
        range=(0.0, 3.141592653589793),
        invariant_to=_UNITWISE,
        perfect=0.0,
        source=f"{_WILLIAMS}, eq. 8",
        from_second_moments=True,
    ),
    "mean_squared_distance": Measure(
        "frankenstein.measures.shape:mean_squared_distance",
        "mean over examples of the squared Euclidean distance; 0 is best (a distance)",
        range=(0.0, float("inf")),
        question="units",
        invariant_to=frozenset(),
        perfect=0.0,
        source="Csiszárik et al. 2021, https://arxiv.org/abs/2110.14633",
        from_second_moments=True,
    ),
}


def find_measure(name: str, flattening: str | None = None) -> Measure:
    """The row of a measure.

    Raises:
        UserError: if there is no such row, or the flattening makes no sense of it.
    """
    if name not in MEASURES:
        raise UserError(f"unknown measure {name!r}{did_you_mean(name, MEASURES)}")
    known = MEASURES[name].flattenings
    if flattening is not None and flattening not in known:
        raise UserError(f"{name} takes {' or '.join(known)}, got {flattening!r}")
    return MEASURES[name]
