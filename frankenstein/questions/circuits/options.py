"""The options of the question about circuits, which its plan and its question share."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from frankenstein.errors import PlanError
from frankenstein.runs.plan import Options
from frankenstein.runs.schema import option


@dataclass(frozen=True, kw_only=True)
class CircuitOptions(Options):
    """Which units belong together."""

    group: ClassVar[str] = "circuits"

    similarity: Literal["correlation", "cosine"] = option(
        "correlation", "what links two units of a circuit, over images"
    )
    threshold: float | None = option(
        None,
        "similarity from which units are linked; the one that leaves the most groups, and never "
        "one that chance reaches, if absent",
    )
    grouping: Literal["components", "average"] = option(
        "components",
        "components: all that are linked to each other, through others too; average: hierarchical "
        "clustering, where two groups join while their mean similarity is enough",
    )

    def check(self) -> None:
        """Refuse a threshold that is no similarity."""
        if not -1 <= (self.threshold or 0) <= 1:
            raise PlanError(f"‹threshold› is a similarity, from -1 to 1, got {self.threshold}")
