"""`frankenstein analyze`: questions about two networks, in one report."""

from pathlib import Path
from typing import Annotated, Any, Literal

from frankenstein.cli.errors import UsageError
from frankenstein.questions.table import QUESTIONS
from frankenstein.runs.schema import read_schema
from frankenstein.runs.types import DatasetName, NetworkName


def analyze(
    sender: str,
    receiver: str,
    sender_layer: str | None = None,
    receiver_layer: str | None = None,
    *,
    units: Annotated[bool, "questions"] = False,
    weights: Annotated[bool, "questions"] = False,
    activations: Annotated[bool, "questions"] = False,
    circuits: Annotated[bool, "questions"] = False,
    merge: Annotated[bool, "questions"] = False,
    autoencoder: Annotated[bool, "questions"] = False,
    probes: Annotated[bool, "questions"] = False,
    all: Annotated[bool, "questions"] = False,
    more: list[str] = [],  # noqa: B006
    examples: Annotated[int, "-n"] = 5000,
    seed: int = 0,
    similarity: Annotated[Literal["correlation", "cosine"], "circuits"] = "correlation",
    threshold: Annotated[float | None, "circuits"] = None,
    grouping: Annotated[Literal["components", "average"], "circuits"] = "components",
    features: Annotated[int | None, "autoencoder"] = None,
    k: Annotated[int, "autoencoder"] = 4,
    l1: Annotated[float | None, "autoencoder"] = None,
    steps: Annotated[int, "autoencoder"] = 600,
    dataset: Annotated[DatasetName | None, "-d"] = None,
    model: NetworkName | None = None,
    batch_size: Annotated[int, "-b"] = 250,
    out_dir: Annotated[str, "-o"] = "results",
    run_name: str | None = None,
    data_root: str | None = None,
    accelerator: Annotated[str, "trainer"] = "auto",
    quiet: bool = False,
) -> Path:
    """Ask in what two trained networks are alike: one question a switch, one report.

    One pass over the data serves all questions. Without layers, each is asked of the activations
    behind every layer with a weight matrix that both networks have by the same name.

    Args:
        sender: file of the first network
        receiver: file of the second network
        sender_layer: layers of the first network, a name, names with commas between, or a glob
            ("relu*"); see above if absent
        receiver_layer: as many of the second network; those of the same names if absent
        units: are the activations of an image alike, as they stand and sorted?
        weights: how are the weights of each layer spread, and how far apart before and after
            matching?
        activations: what do the units of each layer do: distributions, dead units, selectivity,
            top images?
        circuits: which units are active together, are they the same in both, and what are they
            worth?
        merge: can their weights be averaged once their units are in one order?
        autoencoder: which sparse features make up a layer, and are they the same in both networks?
        probes: how well can the labels be read out of each layer, beside random labels?
        all: all of these questions
        more: files of further networks, for the questions that take any number
        examples: images of each part of the data, training and held-out, at most
        seed: of whatever is drawn at random, such as shuffled controls
        similarity: what links two units of a circuit, over images
        threshold: similarity from which units are linked; the one that leaves the most groups, and
            never one that chance reaches, if absent
        grouping: components: all that are linked to each other, through others too; average:
            hierarchical clustering, where two groups join while their mean similarity is enough
        features: features of a sparse autoencoder; four times the layer's units if absent
        k: features active at a place, at most
        l1: penalty on the sum of active features, in place of k: an autoencoder with ReLU
        steps: batches that each autoencoder is trained on
        dataset: data set; the one that the receiver was trained on if absent
        model: network in a .pt file, which its shapes tell if absent
        batch_size: images at a time
        out_dir: folder of results
        run_name: folder of this run in OUT_DIR/analyze; made from networks and data set if
            absent
        data_root: folder where data sets lie, or are downloaded to; if absent, the one in the
            environment variable FRANKENSTEIN_DATA, or else data
        accelerator: cpu, gpu, or auto
        quiet: no progress bar; print the folder only

    Examples:
        frankenstein analyze model_weights/tiny10/digits/in0-gn0.safetensors \\
            model_weights/tiny10/digits/in1-gn1.safetensors --all
        frankenstein analyze A.safetensors B.safetensors relu3 relu5 --units -d fashion
        frankenstein analyze A.safetensors B.safetensors 'relu*' --probes
        frankenstein analyze A.safetensors B.safetensors --circuits --threshold 0.8
    """
    values = dict(locals())
    asked = [name for name in QUESTIONS if values["all"] or values[name]]
    if not asked:
        switches = ", ".join(f"--{name}" for name in QUESTIONS)
        raise UsageError(f"nothing is asked; choose among {switches} and --all")
    _check(values, asked)
    if receiver_layer is None:
        values["receiver_layer"] = sender_layer

    from frankenstein.cli.print_result import tell
    from frankenstein.questions.run import run_analyze
    from frankenstein.runs.config import dump

    return tell(*run_analyze(values, asked, dump(analyze, values)))


def _check(values: dict[str, Any], asked: list[str]) -> None:
    """Refuse an option of a question that is not asked.

    Raises:
        UsageError: if there is one.
    """
    for name, option in read_schema(analyze).options.items():
        question = option.heading
        if question in QUESTIONS and question not in asked and values[name] != option.default:
            raise UsageError(f"{option.flags[-1]} belongs to --{question}; say that, too")
