import base64
import re

import pytest

from frankenstein.report import Picture, curves, heatmap, markdown_table, write_report


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
        "report.md", "report.html", "figures", "cka.png", "accuracy.png",
    }  # fmt: skip


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


def test_a_name_that_is_no_plain_file_or_is_used_twice_is_refused(tmp_path, blocks):
    with pytest.raises(ValueError, match=r"becomes a file, got '\.\./cka'"):
        write_report(tmp_path, "t", [Picture("../cka", blocks[1].figure, "")])
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
