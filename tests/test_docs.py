"""The site's pages: every page has its place, its pictures are as drawn, its code runs."""

import math
import re
import runpy
import shlex
import tomllib
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import frankenstein
from frankenstein.cli import main
from frankenstein.cli.parser import parse
from frankenstein.cli.words import spoken
from frankenstein.errors import PlanError
from frankenstein.report.bands import Band, bands_csv
from frankenstein.studies import Study

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def _pages(entry):
    if isinstance(entry, dict):
        return [page for part in entry.values() for page in _pages(part)]
    return [page for part in entry for page in _pages(part)] if isinstance(entry, list) else [entry]


def test_every_page_is_in_the_site_and_every_place_has_a_page():
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(_pages(site["nav"])) == sorted(path.name for path in DOCS.glob("*.md"))


def test_the_pictures_of_the_concepts_are_as_they_are_drawn():
    drawn = runpy.run_path(str(DOCS / "draw.py"))
    for path in (DOCS / "pictures").iterdir():
        assert path.read_text(encoding="utf-8") == drawn[path.stem]()
        assert path.stat().st_size < 10_000
        assert f"](pictures/{path.name})" in (DOCS / "concepts.md").read_text(encoding="utf-8")


def test_every_block_of_the_concepts_runs(capsys):
    text = (DOCS / "concepts.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```(\w+)\n(.*?)```", text, re.DOTALL)
    assert [language for language, _ in blocks] == ["console", "python"]
    assert main(blocks[0][1].strip().removeprefix("$ frankenstein ").split()) == 0
    assert "bn3" in capsys.readouterr().out
    namespace = {}
    exec(blocks[1][1], namespace)
    assert namespace["left"] < 1e-4


def _commands(text):
    """Every command line of a page's blocks: indented, behind a $, or in a fence of bash."""
    text = re.sub(r"\\\n\s*", "", text).replace("$floor; done; done", "0.1")
    start = r"^(?:    |\$ |srun | +ssh .* && )*(?:python )?"
    for line in re.findall(rf"{start}(frankenstein .*|\w+\.py .*)$", text, re.MULTILINE):
        program, *words = shlex.split(re.split(r" &|  +#| # ", line.replace('"', ""))[0])
        yield words if program == "frankenstein" else [program.removesuffix(".py"), *words]


@pytest.mark.parametrize("page", ["README.md", *(f"docs/{one.name}" for one in DOCS.glob("*.md"))])
def test_every_command_of_every_page_can_be_said(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for verb, *words in _commands((ROOT / page).read_text(encoding="utf-8")):
        said = spoken(verb)
        try:
            said.plan(**said.words.sort(parse(said, words)))
        except PlanError as error:  # what the page has made before is not there
            if not re.search("nothing is called|No such file", str(error)):
                raise


def test_the_blocks_about_many_runs_hold(run, saved, few_digits, monkeypatch):
    text = (DOCS / "many-runs.md").read_text(encoding="utf-8")
    (config, code, depth, figure, curve) = re.findall(
        r"```(?:yaml|python)\n(.*?)```", text, re.DOTALL
    )
    fields = {k: v for k, v in yaml.safe_load(depth).items() if k != "run_name"}
    counts = Counter(node.name.partition("/")[0] for node in Study(**fields).graph())
    assert counts == {"train": 5, "stitch": 20 * 4 * 2, "compare": 1}
    shipped = (ROOT / "configs/studies/seeds.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(config) == yaml.safe_load(shipped)
    namespace = {}
    exec(code.split("study.run()")[0], namespace)
    names = [node.name for node in namespace["study"].graph()]
    assert names[0] == "train/lenet-0"
    assert sum(name.startswith("compare/") for name in names) == 1
    made = run("compare", saved("lenet"), saved("lenet", 1), "relu*", "relu*", "unbiased_cka")
    monkeypatch.chdir(made)
    exec(figure.replace("results/compare/RUN", "."), {})
    assert Path("unbiased_cka.pdf").read_bytes()[:4] == b"%PDF"
    places, bare = ([0.0, 1.0], [0.9, 0.8]), [math.nan] * 2
    of_three, of_one = ([0.8] * 2, [1.0] * 2, [3] * 2), (bare, bare, [1] * 2)
    series = {"a": Band(*places, *of_three), "b": Band(*places, *of_one)}
    Path("accuracy.csv").write_text(bands_csv(series, "layer", ["conv1", "fc1"]))
    exec(re.sub('"results/.*?"', '"accuracy.csv"', curve), {})
    assert Path("depth.pdf").read_bytes()[:4] == b"%PDF"


@pytest.mark.parametrize("name", ["stitch", "compare", "activations"])
def test_a_notebook_runs(name, few_digits, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    code = (DOCS / "notebooks" / f"{name}.py").read_text(encoding="utf-8")
    assert code.startswith("# %% [markdown]\n# # ")
    namespace = {"Digits": few_digits}
    exec(code.replace("from frankenstein.data import Digits\n", ""), namespace)
    assert capsys.readouterr().out
    if name == "stitch":
        assert namespace["accuracy"] > 0.9
    if name == "activations":
        assert namespace["values"]["unbiased_cka"][0] == pytest.approx(1, abs=1e-4)
        assert abs(namespace["values"]["unbiased_cka"][1]) < 0.1


def test_every_object_of_the_api_page_is_there():
    names = re.findall(r"^::: (\S+)$", (DOCS / "api.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert names
    for name in names:
        module, _, attribute = name.rpartition(".")
        assert getattr(__import__(module, fromlist=[attribute]), attribute).__doc__


def test_the_version_is_the_tag_and_of_a_tarball_the_last_release():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    last = project["tool"]["hatch"]["version"]["fallback-version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == last
    assert f"## {last}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert frankenstein.__version__ == version(project["project"]["name"])
