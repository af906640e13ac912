"""What a question is: options as fields, an answer that is computed, a section that words it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Protocol, TypeVar

from frankenstein.errors import UserError
from frankenstein.runs.plan import Options

if TYPE_CHECKING:
    from torch import Tensor

    from frankenstein.questions.subject import Subject
    from frankenstein.report import Section

Need = Literal["layers", "inputs", "labels", "untrained", "training"]
# Told of every batch: what each network makes of it, {role: {layer: (N, C, ...)}}, units on the
# second axis of maps and on the last of tokens and vectors; and the labels.
Watcher = Callable[[Mapping[str, "Mapping[str, Tensor]"], "Tensor"], object]


class Answer(Protocol):
    """What a question computes: typed, and in no words."""

    @property
    def numbers(self) -> Mapping[str, float]:
        """Every number by its key, such as {"sorted_cosine/relu3": 0.97}; NaN is undefined."""


A = TypeVar("A", bound=Answer)


@dataclass(frozen=True, kw_only=True)
class Question(Options, ABC, Generic[A]):
    """A question about networks; its fields are its options.

        answer = Units().ask(subject)
        answer.numbers, Units().show(answer)

    To add one, write a file or a folder `questions/<name>` (its answer and its page beside it),
    and a row in `frankenstein.questions.table`. Options that the command line is to have lie in a
    class of `Options` that imports no torch; the question inherits from it, and the row names it.
    """

    title: ClassVar[str]  # of its section
    # What it asks for: pairs of layers; the data set; what untrained twins make of the same
    # examples; labels that the networks answer to; training images, for a training of many epochs.
    needs: ClassVar[frozenset[Need]]
    of_more: ClassVar[str] = (
        ""  # what it says of more than two networks; "": of the first two alone
    )

    @abstractmethod
    def ask(self, subject: "Subject") -> A:
        """Compute the answer, with its nulls and controls.

        Raises:
            UserError: if the networks or the data leave no answer.
        """

    @abstractmethod
    def show(self, answer: A) -> "Section":
        """Word an answer."""

    def watcher(self, subject: "Subject") -> Watcher | None:
        """What is to be told of every batch of held-out images; `Subject.watched` gives it back."""
        return None


class NotAskable(UserError):  # noqa: N818 - an answer by itself, where all questions are asked
    """A question that these networks do not admit."""


AnyQuestion = Question[Any]
