import json
import re

import pytest

from frankenstein.cli import main
from frankenstein.records import read_yaml
from frankenstein.studies import demo
from frankenstein.studies.demo import KINDS


# A penalty meant for trained networks leaves nothing of a stitch between two that know nothing yet.
@pytest.mark.filterwarnings("ignore::frankenstein.measures.UndefinedSimilarityWarning")
def test_the_demo_trains_stitches_compares_and_shows(few_digits, monkeypatch, capsys, tmp_path):
    def fewer_controls(path):
        study = read_yaml(path)
        for step in study["steps"]:
            if "stitch" in step:
                step["stitch"]["untrained"] = 1
        return study

    monkeypatch.setattr(demo, "read_yaml", fewer_controls)
    monkeypatch.setattr(demo, "_STITCH_EPOCHS", {"digits": 1})
    assert main(["demo", "--model", "lenet", "--layer", "relu2", "-e", "1"]) == 0
    said = capsys.readouterr().out
    folder = tmp_path / "results" / "demo" / "lenet-digits"
    assert all(kind in said for kind in ("sender", "receiver", *KINDS))
    assert "six stitches, 60 held-out images" in said
    assert len(said.splitlines()) <= 25
    assert "is right in" in said or "are right in" in said
    *_, report, board = said.strip().splitlines()
    assert report == "report:     results/demo/lenet-digits/report.html"
    assert board == "look at it: tensorboard --logdir results/demo/lenet-digits"

    text = (folder / "report.md").read_text()
    pictures = re.findall(r"!\[.*?\]\((.*?)\)", text)
    assert len(pictures) == 2
    assert all((folder / picture).is_file() for picture in pictures)
    assert all(kind in text for kind in KINDS)
    assert "frankenstein demo --model lenet --layer relu2 --epochs 1" in text
    assert "frankenstein demo --config results/demo/lenet-digits/config.yaml" in text
    assert "dataset: digits\nmodel: lenet\n" in (folder / "config.yaml").read_text()
    for whose in ("sender", "receiver"):
        rows = [line for line in text.splitlines() if line.startswith(f"| {whose} ")]
        assert any("| digits " in row for row in rows)

    assert len(list((folder / "train").iterdir())) == 2
    assert len(list((folder / "compare").iterdir())) == 1
    runs = sorted(path.name for path in (folder / "stitch").iterdir())
    assert runs == sorted(KINDS)
    summary = json.loads((folder / "stitch" / "identity" / "summary.json").read_text())
    assert summary["accuracy/before"] == summary["accuracy/after"]
    assert not list(folder.rglob("*.ckpt")) + list(folder.rglob("*.partial"))


def test_a_layer_of_fewer_units_than_the_rank_is_told_before_training(few_digits, capsys):
    assert main(["demo", "--model", "lenet", "--layer", "relu1"]) == 2
    said = capsys.readouterr().err
    assert "relu1 of lenet has 6 units, and the demo has a stitch of rank 8; choose" in said
