"""The plan of `analyze`: which questions are asked of which networks."""

from collections.abc import Mapping
from dataclasses import dataclass, make_dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from frankenstein.errors import PlanError
from frankenstein.questions.table import QUESTIONS, Row
from frankenstein.runs.fields import DataFields, DeviceFields, NetworkFields, PairFields, RunFields
from frankenstein.runs.plan import Options, Plan
from frankenstein.runs.schema import option, options_of

if TYPE_CHECKING:
    from frankenstein.questions.question import AnyQuestion


@dataclass(frozen=True, kw_only=True)
class LayerFields(PairFields):
    """Of which networks, and of which of their layers."""

    sender: str = option(about="first network, or file of activations", source=True)
    receiver: str = option(about="second network, or file of activations", source=True)
    sender_layer: str | None = option(
        None,
        'layers of the first network, a name, names with commas between, or a glob ("relu*"); if '
        "absent, those behind each layer with a weight matrix that both networks have by the same "
        "name",
    )
    receiver_layer: str | None = option(
        None, "as many of the second network; those of the same names if absent"
    )
    labels: str | None = option(
        None,
        "file of a class for every row of two files of activations: whole numbers, (N,)",
    )
    more: list[str] = option(
        [], "further networks, for the questions that take any number", source=True
    )
    examples: int = option(
        5000, "images of each part of the data, training and held-out, at most", least=2
    )
    untrained: int = option(
        5,
        "untrained networks of the sender's and of the receiver's kind, which controls are a mean "
        "and a spread over; each is a pass over the images, so their number is most of what a "
        "cheap question costs (the autoencoder takes 3 at most, since it trains on each)",
        least=1,
    )
    seed: int = option(
        0,
        "seed of whatever is drawn at random, such as shuffled controls",
        least=0,
        changes="seed",
    )
    batch_size: int = option(250, "images at a time", least=1)


def question_fields(rows: Mapping[str, Row]) -> type[Plan]:
    """A switch for each row of the table, and the options of those questions that have any."""
    switches = make_dataclass(
        "Switches",
        [
            *((name, bool, option(False, row.about)) for name, row in rows.items()),
            ("all", bool, option(False, "all of these questions")),
        ],
        bases=(Plan,),
        namespace={"group": "questions"},
        frozen=True,
        kw_only=True,
    )
    groups = dict.fromkeys(row.options for row in rows.values() if row.options is not Options)
    bases = (*reversed(groups), switches)
    return make_dataclass("QuestionFields", [], bases=bases, frozen=True, kw_only=True)


_QuestionFields: Any = question_fields(QUESTIONS)


@dataclass(frozen=True, kw_only=True)
class AnalyzePlan(DeviceFields, RunFields, NetworkFields, DataFields, _QuestionFields, LayerFields):
    """Questions about two networks and any further ones, in one report."""

    verb: ClassVar[str] = "analyze"

    @property
    def asked(self) -> list[str]:
        """The names of the questions."""
        return [name for name in QUESTIONS if self.all or getattr(self, name)]

    def questions(self) -> "dict[str, AnyQuestion]":
        """Those that are asked, by name, each with its options."""
        return {
            name: QUESTIONS[name](
                **{field: getattr(self, field) for field in options_of(QUESTIONS[name].options)}
            )
            for name in self.asked
        }

    def __post_init__(self) -> None:
        if self.receiver_layer is None:
            object.__setattr__(self, "receiver_layer", self.sender_layer)
        super().__post_init__()

    def check(self) -> None:
        """Refuse a plan that asks nothing, and an option of a question that is not asked.

        Raises:
            PlanError: if it does either, or if a question refuses its options.
        """
        if not self.asked:
            switches = ", ".join(f"‹{name}›" for name in QUESTIONS)
            raise PlanError(f"nothing is asked; choose among {switches} and ‹all›")
        for options in {row.options: None for row in QUESTIONS.values()}:
            options.check(self)
            questions = [name for name, row in QUESTIONS.items() if row.options is options]
            of = " or ".join(f"‹{question}›" for question in questions)
            for name, one in options_of(options).items():
                if {*questions}.isdisjoint(self.asked) and getattr(self, name) != one.default:
                    raise PlanError(f"‹{name}› belongs to {of}; say that, too")
