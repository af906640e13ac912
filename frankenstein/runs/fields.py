"""Groups of fields that several plans share, each written once.

A plan inherits from the groups that it has. Bases are listed in reverse: the fields of the last one
come first in YAML and help.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from frankenstein.catalog import (
    ARCHITECTURES,
    DATASETS,
    MEASURES,
    OBJECTIVES,
    OWN_DATA,
    PLACES,
    STITCHES,
)
from frankenstein.errors import DataError, PlanError
from frankenstein.records import shown
from frankenstein.runs.plan import Command, Plan
from frankenstein.runs.schema import option
from frankenstein.source import names_code

if TYPE_CHECKING:
    from frankenstein.runs.run import Run

_SENTENCES = (".txt", ".csv", ".tsv")  # endings of files that -d takes
PARTIAL = ".partial"  # ends the name of a run's folder until the run is whole

NetworkName = Annotated[str, tuple(ARCHITECTURES)]
DatasetName = Annotated[str, (*DATASETS, *PLACES)]
DataName = Annotated[str, (*DATASETS, *OWN_DATA)]
PlaceName = Annotated[str, (*DATASETS, *OWN_DATA, *PLACES)]
StitchName = Annotated[str, tuple(STITCHES)]
ObjectiveName = Annotated[str, tuple(OBJECTIVES)]
MeasureName = Annotated[str, tuple(MEASURES)]

# The stitches that a run saves: at its start, trained, and the affine map of least squares.
StitchKind = Literal["before", "after", "ps_inv"]
KINDS: tuple[StitchKind, ...] = get_args(StitchKind)


@dataclass(frozen=True, kw_only=True)
class RunFields(Plan):
    """Where a run lies, and what it prints."""

    out_dir: str = option("results", "folder of results", changes="nothing")
    run_name: str | None = option(
        None,
        "name of this run's folder in OUT_DIR/<verb>; made from what is run if absent",
        changes="nothing",
    )
    quiet: bool = option(False, "no progress bar; print the folder only", changes="nothing")

    def __post_init__(self) -> None:
        super().__post_init__()
        name = self.run_name
        if name is None:
            return
        if not name.strip(" .") or not name.isprintable() or set(name) & set("/\\"):
            raise PlanError(f"‹run_name› is that of one folder in ‹out_dir›, got {shown(name)}")
        if name.endswith(PARTIAL):
            raise PlanError(
                f"‹run_name› ends in {PARTIAL} only while a run is under way, got {shown(name)}"
            )


@dataclass(frozen=True, kw_only=True)
class ResumeFields(Plan):
    """Whether an interrupted run goes on."""

    resume: bool = option(
        False,
        "go on with the unfinished run of the same name; if it is finished, only say where",
        changes="nothing",
    )


@dataclass(frozen=True, kw_only=True)
class DataFields(Plan):
    """Which data."""

    dataset: PlaceName | None = option(
        None,
        "data set, a folder of images, a .txt, .csv or .tsv of sentences, or your own code that "
        "gives a DataLoader, Dataset or LightningDataModule; the one that the receiver was trained "
        "on if absent",
        source=True,
    )
    data_root: str | None = option(
        None,
        "folder where data sets lie, or are downloaded to; if absent, the one in the environment "
        "variable FRANKENSTEIN_DATA, or else data",
        changes="nothing",
    )
    text: str | None = option(
        None,
        "file of sentences for the data set text, one a line, or .csv or .tsv with a column text "
        "and maybe label; a fifth is held out; made-up ones if absent",
    )
    held_out_text: str | None = option(None, "a second such file, of sentences to hold out")

    def __post_init__(self) -> None:
        self._take_place()
        super().__post_init__()
        if self.text is not None and self.dataset != "text":
            raise PlanError("‹text› is for ‹dataset› text; say both, or leave it out")
        if self.held_out_text is not None and self.text is None:
            raise PlanError("‹held_out_text› is beside ‹text›, which is absent; say both")

    def _take_place(self) -> None:
        """A folder of images, or a file of sentences, may stand where data sets are named."""
        place = self.dataset
        if not isinstance(place, str) or place in DATASETS or names_code(place):
            return
        sentences = Path(place).suffix in _SENTENCES and not Path(place).is_dir()
        if not sentences and not Path(place).is_dir() and "/" not in place:
            return
        field, name = ("text", "text") if sentences else ("data_root", "folder")
        if getattr(self, field) not in (None, place):
            raise PlanError(
                f"‹dataset› {place} and ‹{field}› {getattr(self, field)} are two places of one; "
                "say one of them"
            )
        object.__setattr__(self, "dataset", name)
        object.__setattr__(self, field, place)

    @property
    def texts(self) -> list[str]:
        """The files of sentences."""
        return [one for one in (self.text, self.held_out_text) if one is not None]

    def run(self, command: Command = Command()) -> "Run":  # noqa: B008 - it is frozen
        """As `Plan.run`; a folder of images that is not there is told before networks are opened.

        Raises:
            DataError: if there is no such folder.
        """
        if self.dataset == "folder" and self.data_root and not Path(self.data_root).is_dir():
            raise DataError(
                f"folder: there is no {self.data_root}; ‹data_root› is a folder with images in "
                "train/<class>/ and val/<class>/"
            )
        return super().run(command)


@dataclass(frozen=True, kw_only=True)
class CodeFields(Plan):
    """Whether files may name code."""

    allow_code: bool = option(
        False,
        "let a config, a study or a run name code, such as my_nets.py:small, which is then run; "
        "what you name here is run anyway",
        changes="nothing",
    )


@dataclass(frozen=True, kw_only=True)
class ModelFields(CodeFields):
    """How files of networks are understood."""

    model: NetworkName | None = option(
        None, "architecture of a file of tensors alone, such as .pt; told from its shapes if absent"
    )


@dataclass(frozen=True, kw_only=True)
class NetworkFields(ModelFields):
    """What the source of a network does not say itself."""

    size: int | None = option(
        None, "pixels of the images that a network sees, where its source does not say", least=1
    )
    normalize: list[float] | None = option(
        None,
        "mean and standard deviation of its images, of pixels between 0 and 1, or those of each "
        "channel, where a network's source does not say; the data set's own if absent",
    )

    resampling: Literal["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"] | None = (
        option(
            None,
            "how its images are resized, where a network's source does not say; bilinear if absent",
        )
    )

    @property
    def told(self) -> dict[str, Any]:
        """What `open_all` is told besides the sources."""
        names = ("dataset", "size", "normalize", "resampling")
        return {name: getattr(self, name) for name in names if hasattr(self, name)}


@dataclass(frozen=True, kw_only=True)
class DeviceFields(Plan):
    """Where it is computed."""

    group: ClassVar[str] = "trainer"

    accelerator: str = option("auto", "cpu, gpu, or auto", changes="rounding")


@dataclass(frozen=True, kw_only=True)
class TrainerFields(DeviceFields):
    """How Lightning's Trainer computes."""

    group: ClassVar[str] = "trainer"

    devices: str = option("auto", "how many devices, or which", changes="rounding")
    strategy: str = option("auto", "how several devices share the work (ddp, ...)")
    precision: str = option(
        "32-true", "precision of the arithmetic (32-true, 16-mixed, bf16-mixed, ...)"
    )


@dataclass(frozen=True, kw_only=True)
class DescentFields(Plan):
    """How weights are trained; a plan gives defaults of its own."""

    epochs: int = option(30, "passes over the training data", least=0)
    batch_size: int = option(128, "images a step, over all devices together", least=1)
    lr: float = option(
        1e-3, "learning rate, cut by 10 at one third and two thirds of the epochs", least=0
    )
    weight_decay: float = option(0.0, "weight decay", least=0)
    optimizer: Literal["sgd", "adam"] = option("adam", "optimizer")


@dataclass(frozen=True, kw_only=True)
class PairFields(Plan):
    """The two networks of a stitch or a comparison."""

    sender: str = option(about="network that gives its front", source=True)
    receiver: str = option(about="network that gives its end", source=True)
