"""Names that hold markup: of classes, files, runs. A page shows them as they are."""

import re
import shutil
from pathlib import Path

import pytest

from frankenstein.cli import main
from frankenstein.report import Picture, code, fenced, heatmap, markdown_table, plain, write_report
from frankenstein.report.page import html_of

NASTY = [
    "<script>alert(1)</script>", "![x](http://evil/x.png)", "[x](http://evil)", "`code`", "a`b``c",
    "*bold* **b** _i_", "a | b", "&lt;b&gt;", "<http://evil>", "# title", "\\", "$\\frac$",
    "[a](b) [c](http://d)", "[x](y)", "`a` <b> `c`",
]  # fmt: skip


def text_of(tree):
    return " ".join("".join(tree.itertext()).split())


@pytest.mark.parametrize("name", NASTY)
def test_a_name_is_shown_as_it_is_whatever_it_holds(tmp_path, check_page, name):
    figure = heatmap([[1.0]], [name], [name], name)
    table = markdown_table([[name, 1], [code(name), 2]], ["name", "n"])
    picture = Picture("p", figure, f"Of {plain(name)}.")
    blocks = [f"Of {plain(name)} and {code(name)}.", table, picture]
    write_report(tmp_path, f"Run {name}", blocks)
    tree = check_page(tmp_path / "report.html")
    shown = text_of(tree)
    assert shown.count(" ".join(name.split())) >= 5
    assert all(one.get("href").startswith(("#", "figures/")) for one in tree.iter("a"))
    assert len(list(tree.iter("img"))) == 1
    assert not list(tree.iter("em"))
    # The markdown beside it says the same to who renders it.
    again = html_of((tmp_path / "report.md").read_text())
    assert "<script>" not in again
    assert not re.search('(src|href)="http', again)


@pytest.mark.parametrize("inside", ["```", "  ```\n<img src=x>", "~~~", "a\n````\nb"])
def test_a_block_of_code_ends_where_its_lines_end(inside):
    page = html_of(fenced(f"steps: |\n{inside}\n\n# end", "yaml") + "\n\nbehind")
    assert page.count("<pre") == 1
    assert page.endswith("# end\n</code></pre>\n<p>behind</p>\n")


def test_a_link_and_code_that_a_page_has_made_stay_in_a_cell():
    cells = [["[a\\[b](../a/report.md)"], ["`bn3`"], ["`` a`b ``"]]
    assert all(cell[0] in markdown_table(cells, ["x"]) for cell in cells)


def test_runs_whose_names_hold_markup_are_joined_on_a_page(run, saved, check_page, capsys):
    names = ["<b>x<b>", "![x](y)", "a`b"]
    folders = [run("evaluate", saved("mlp", i), "--run-name", n) for i, n in enumerate(names)]
    network = Path("<i>net`.safetensors")
    shutil.copy(saved("mlp", 3), network)
    folders.append(run("evaluate", network, "--run-name", "d"))
    assert main(["report", *map(str, folders), "--run-name", "<u>all", "--quiet"]) == 0
    folder = Path("results/report/<u>all")
    shown = text_of(check_page(folder / "report.html"))
    assert all(name in shown for name in (*names, "<u>all"))
    assert "<i>net`.safetensors" in text_of(check_page(folders[-1] / "report.html"))
    links = [f"results/evaluate/{name}/report.html" for name in names]
    assert all(Path(link).is_file() for link in links)
