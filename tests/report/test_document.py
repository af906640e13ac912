import base64
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from frankenstein.report import (
    CellMatrix,
    Finding,
    Fold,
    Picture,
    curves,
    heatmap,
    markdown_table,
    write_report,
)


@pytest.fixture
def blocks():
    return [
        "Two networks were stitched.",
        Picture(
            "cka", heatmap([[1.0]], ["bn3"], ["bn3"]), "Bright is alike [0, 1].\nRows: sender."
        ),
        markdown_table([["affine", 0.97]], ["stitch", "accuracy"]),
        Picture("accuracy", curves({"a": ([0, 1], [0, 1])}), "Higher is better."),
    ]


def test_every_link_of_a_report_leads_to_a_file_on_disk(tmp_path, blocks):
    page = write_report(tmp_path / "run", "A study", blocks)
    links = re.findall(r"!\[.*\]\((.+?)\)$", page.read_text(), re.MULTILINE)
    assert page == tmp_path / "run" / "report.md"
    assert links == ["figures/cka.png", "figures/accuracy.png"]
    assert all((page.parent / link).read_bytes().startswith(b"\x89PNG") for link in links)
    assert {path.name for path in page.parent.rglob("*")} == {
        "report.md", "report.html", "figures", "cka.png", "cka.svg", "cka.pdf",
        "accuracy.png", "accuracy.svg", "accuracy.pdf", "accuracy.csv",
    }  # fmt: skip
    curve = (page.parent / "figures" / "accuracy.csv").read_text()
    assert curve == "panel,series,x,y\n,a,0.0,0.0\n,a,1.0,1.0\n"


def test_blocks_stand_in_the_order_of_reading(tmp_path, blocks):
    text = write_report(tmp_path, "A study", blocks).read_text()
    assert text.startswith(
        "# A study\n\nTwo networks were stitched.\n\n![Bright is alike \\[0, 1\\].]("
    )
    assert "**Figure 1.** Bright is alike [0, 1]. Rows: sender.\n\n| stitch" in text
    assert text.endswith("**Figure 2.** Higher is better.\n")


def test_the_same_run_gives_the_same_bytes(tmp_path, blocks):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        write_report(folder, "A study", blocks)
    first, second = (
        {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
        for folder in folders
    )
    assert first == second


@pytest.mark.parametrize("name", ["../cka", "explained@cut/after", "a b: c?", "über", "x" * 400])
def test_any_name_of_a_score_or_layer_becomes_a_file_inside_the_folder(tmp_path, blocks, name):
    page = write_report(tmp_path, "t", [Picture(name, blocks[1].figure, "")]).read_text()
    (drawn,) = (tmp_path / "figures").glob("*.png")
    assert f"(figures/{drawn.name})" in page
    assert {path.name for path in tmp_path.iterdir()} == {"report.md", "report.html", "figures"}


def test_a_name_that_is_used_twice_is_refused(tmp_path, blocks):
    with pytest.raises(ValueError, match="two pictures are named 'cka'; give each its own name"):
        write_report(tmp_path, "t", [blocks[1], blocks[1]])
    assert not list(tmp_path.iterdir())


def test_the_page_holds_everything_and_fetches_nothing(tmp_path, blocks, check_page):
    write_report(tmp_path, "A <study> & more", blocks)
    page = check_page(tmp_path / "report.html")
    assert page.findtext(".//title") == page.findtext(".//h1") == "A <study> & more"
    alternatives = [image.get("alt") for image in page.iter("img")]
    assert alternatives == ["Bright is alike [0, 1].", "Higher is better."]
    captions = ["".join(caption.itertext()).strip() for caption in page.iter("figcaption")]
    assert captions[0] == "Figure 1. Bright is alike [0, 1]. Rows: sender."
    assert [cell.text for cell in page.iter("td")] == ["affine", "0.9700"]
    images = [image.get("src").partition(",")[2] for image in page.iter("img")]
    files = [tmp_path / "figures" / f"{name}.png" for name in ("cka", "accuracy")]
    assert [base64.b64decode(image) for image in images] == [file.read_bytes() for file in files]


def test_a_picture_on_the_page_keeps_its_shape(tmp_path, blocks, check_page):
    write_report(tmp_path, "A study", blocks)
    for image in check_page(tmp_path / "report.html").iter("img"):
        data = base64.b64decode(image.get("src").partition(",")[2])
        width, height = (int.from_bytes(data[place : place + 4]) for place in (16, 20))
        shown = int(image.get("width")), int(image.get("height"))
        assert shown[0] / shown[1] == pytest.approx(width / height, rel=0.01)


def test_what_was_found_comes_first_and_words_unfold(tmp_path, check_page):
    blocks = [Finding("`a` is **best**."), "## One", Fold("How to read it", "*n*: images.")]
    text = write_report(tmp_path, "T", blocks).read_text()
    assert text.startswith("# T\n\n`a` is **best**.\n\n## One")
    assert "<details><summary>How to read it</summary>\n\n*n*: images.\n\n</details>" in text
    page = check_page(tmp_path / "report.html")
    assert page.find(".//main")[1].get("class") == "finding"
    fold = page.find(".//details")
    assert fold.get("open") is None
    assert fold.findtext("summary") == "How to read it"
    assert fold.find("p/em").text == "n"


NAMES = ["a.very.long.name.of.a.layer", "b<&>"]


def test_a_matrix_on_a_page_is_drawn_with_all_its_names_and_numbers(tmp_path, check_page):
    cells = CellMatrix(
        [[1.0, float("nan")], [0.25, 0.5]], NAMES, NAMES, (0.0, 1.0), "cka", low=[[0.1] * 2] * 2,
        high=[[0.9] * 2] * 2, command="compare A B {row} {column}",
    )  # fmt: skip
    figure = heatmap(cells.values, NAMES, NAMES)
    write_report(tmp_path, "T", [Picture("cka", figure, "Layers against layers.", cells)])
    page = check_page(tmp_path / "report.html")
    drawing = page.find(".//svg")
    assert drawing.get("aria-label") == "Layers against layers."
    texts = [text.text for text in drawing.iter("text")]
    assert texts[:4] == NAMES * 2
    assert texts[6:10] == ["1.00", "n/a", "0.25", "0.50"]
    assert len(drawing.findall("g[@class='grid']/rect")) == 4
    data = json.loads(page.find(".//figure/script").text)
    assert (data["rows"], data["values"]) == (NAMES, [[1.0, None], [0.25, 0.5]])
    # The longest name fits beside the matrix, and below it, where it is turned.
    left = float(re.search(r"translate\((\d+)", drawing.find("g").get("transform"))[1])
    assert left > 6.5 * len(NAMES[0])
    bottom = float(drawing.get("height")) - 2 * 30 - 8
    assert bottom > 6.5 * len(NAMES[0])
    links = [link.get("href") for link in page.iter("a")]
    assert links == [f"figures/cka.{kind}" for kind in ("png", "svg", "csv")]
    assert all((tmp_path / link).is_file() for link in links)
    assert (tmp_path / "figures" / "cka.csv").read_text().endswith("b<&>,0.25,0.5\n")
    ElementTree.parse(tmp_path / "figures" / "cka.svg")


def test_a_matrix_of_very_many_cells_is_a_picture(tmp_path, check_page):
    names = [str(i) for i in range(70)]
    values = np.zeros((70, 70))
    cells = CellMatrix(values, names, names, (0.0, 1.0), "cka")
    write_report(tmp_path, "T", [Picture("cka", heatmap(values, names, names), "Zero.", cells)])
    page = check_page(tmp_path / "report.html")
    assert page.find(".//svg") is None
    assert page.find(".//img") is not None
    assert (tmp_path / "figures" / "cka.csv").is_file()
