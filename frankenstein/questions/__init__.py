"""Questions about networks: each is asked of a subject, and its answer shown."""

from frankenstein.lazy import lazily

_QUESTIONS = {
    "Activations": "activations",
    "Autoencoder": "dictionaries",
    "Circuits": "circuits",
    "Merge": "merging",
    "Probes": "probes",
    "Units": "units",
    "Weights": "weights",
}
__getattr__, __all__ = lazily(
    __name__,
    {
        "AnalyzePlan": "frankenstein.questions.plan",
        "NotAskable": "frankenstein.questions.question",
        "Question": "frankenstein.questions.question",
        "Subject": "frankenstein.questions.subject",
        "open_subject": "frankenstein.questions.subject",
        "paired_layers": "frankenstein.questions.subject",
        **{name: f"{__name__}.{room}.question" for name, room in _QUESTIONS.items()},
    },
)
