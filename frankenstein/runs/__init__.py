"""One run's folder, whatever the verb: its plan, its record, its numbers, its page."""

from frankenstein.lazy import lazily

__getattr__, __all__ = lazily(
    __name__,
    {
        "Plan": "frankenstein.runs.plan",
        "Run": "frankenstein.runs.run",
        "read_plan": "frankenstein.runs.config",
    },
)
