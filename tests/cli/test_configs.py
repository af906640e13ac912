import gzip
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from frankenstein.cli.commands import check_step

CONFIGS = Path(__file__).parents[2] / "configs"
FILES = sorted(path for path in CONFIGS.rglob("*.yaml") if not path.is_symlink())


@pytest.fixture
def fashion(tmp_path):
    """A folder with a Fashion-MNIST of a few random pictures, in the files of the real one."""
    folder = tmp_path / "data" / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for part, count in (("train", 256), ("t10k", 40)):
        images = random.integers(256, size=(count, 28, 28), dtype=np.uint8)
        labels = (np.arange(count) % 10).astype(np.uint8)
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(
                size.to_bytes(4) for size in array.shape
            )
            with gzip.open(folder / f"{part}-{name}-ubyte.gz", "wb", compresslevel=1) as file:
                file.write(header + array.tobytes())
    return folder.parents[1]


def verb_of(path):
    return {"studies": "study"}.get(path.parent.name, path.parent.name)


def shortened(step):
    """A step of a study, of one layer in place of all, once it is sure that it is one as it is."""
    check_step(step)
    verb = step.split()[0]
    layers = {"stitch": "bn3 bn3 --untrained 1", "compare": "bn3 bn3", "analyze": "relu3 --units"}
    layers = layers.get(verb, "")
    return re.sub(r"--all|-n \d+", "", re.sub(r"-e \d+", "-e 1", step)) + (
        f" {layers}" if "bn3" not in step else ""
    )


def cheaper(path, folder):
    """A copy of the study of seeds, of two networks of one epoch and stitches of one layer."""
    text = path.read_text()
    for dear, cheap in (
        ("epochs: 20}, seeds: 0..4", "epochs: 1}, seeds: 0..1"),
        ("all: true,", "sender_layer: pool1, receiver_layer: pool1, untrained: 1,"),
        ("units: true", "units: true, untrained: 1, examples: 60, sender_layer: pool1"),
    ):
        assert dear in text
        text = text.replace(dear, cheap)
    copy = folder / path.name
    copy.write_text(text)
    return copy


# A penalty meant for trained networks leaves nothing of a stitch between two that know nothing yet.
@pytest.mark.filterwarnings("ignore::frankenstein.measures.UndefinedSimilarityWarning")
# Units of networks that have hardly learned are nearly dependent.
@pytest.mark.filterwarnings("ignore::frankenstein.accumulators.linear.NearlyDependentWarning")
@pytest.mark.parametrize(
    "path",
    # tests/studies/test_demo.py runs the steps of the demo.
    [path for path in FILES if path.stem != "demo"],
    ids=lambda path: str(path.relative_to(CONFIGS)),
)
def test_a_config_runs_through_the_real_command_line(
    run, saved, fashion, blank_figures, tmp_path, path
):
    verb, config = verb_of(path), yaml.safe_load(path.read_text())
    words = [] if verb in ("train", "study") else [saved("tiny10", 0), saved("tiny10", 1)]
    if verb == "analyze" and "sender_layer" not in config:
        words += ["relu3,relu6"]
    trains = config.get("family") not in ("identity", "permutation")
    if trains and config.get("epochs", 30) and verb in ("train", "stitch"):
        words += ["-e", "1"]
    if verb in ("stitch", "analyze"):
        words += ["--untrained", "1"]
    if verb == "analyze":
        words += ["-n", "60"]
        words += ["--steps", "20"] if "autoencoder" in config else []
    if verb == "study" and "steps" in config:
        words = [shortened(step) for step in config["steps"]]
    if path.stem == "seeds":
        path, words = cheaper(path, tmp_path), ["--workers", "0"]
    folder = run(verb, *words, "--config", path, "--data-root", fashion)
    assert (folder / "summary.json").is_file()
    replay, config = (yaml.safe_load(p.read_text()) for p in (folder / "config.yaml", path))
    told = {"sender", "receiver", "epochs", "steps"}
    assert {key: replay[key] for key in config if key not in told} == {
        key: value for key, value in config.items() if key not in told
    }


def test_there_is_a_config_for_each_kind_of_stitch_and_each_verb_that_makes_runs():
    verbs = {verb_of(path) for path in FILES}
    assert verbs == {"train", "stitch", "compare", "analyze", "study"}
    assert {path.stem for path in FILES if path.parent.name == "stitch"} >= {
        "identity",
        "permutation",
        "pseudo_inverse",
        "low_rank",
        "sparse",
        "cka_regularized",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CONFIGS)))
def test_a_config_says_what_it_is_and_the_command_that_runs_it(path):
    about, command, *_ = path.read_text().splitlines()
    assert about.startswith("# ")
    name = path.relative_to(CONFIGS.parent)
    verb = verb_of(path)
    program = (
        f"python {verb}.py" if verb in ("train", "stitch", "compare") else f"frankenstein {verb}"
    )
    assert command.startswith(f"# {program} --config {name.as_posix()}")


def test_what_lay_beside_compare_can_still_be_named_there():
    old = ["activations", "autoencoder", "circuits", "merge", "probes", "units", "weights"]
    for name in old:
        path = CONFIGS / "compare" / f"{name}.yaml"
        assert path.read_text() == (CONFIGS / "analyze" / f"{name}.yaml").read_text()
