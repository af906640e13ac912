import re
from xml.etree import ElementTree

import pytest

from frankenstein.report.page import html_of, html_page


def tree(markdown):
    return ElementTree.fromstring(f"<main>{html_of(markdown)}</main>")


@pytest.mark.parametrize("text", ["<b>", "a & b", "<script>alert(1)</script>", '"', "<!-- x -->"])
def test_html_in_a_text_is_shown_and_not_obeyed(text):
    assert "".join(tree(text).itertext()).strip() == text
    assert "".join(tree(f"`{text}`").itertext()).strip() == text


@pytest.mark.parametrize(
    ("target", "leads"),
    [
        ("../../stitch/a/report.md", "../../stitch/a/report.html"),
        ("../../stitch/a/", "../../stitch/a/"),
        ("https://example.org/report.md", "https://example.org/report.md"),
        ("matrix.csv", "matrix.csv"),
    ],
)
def test_a_link_to_a_report_leads_to_its_page(target, leads):
    assert tree(f"See [it]({target}).").find(".//a").get("href") == leads


def test_a_link_that_would_run_code_is_none():
    assert tree("[x](javascript:alert(1))").find(".//a") is None


def test_a_table_scrolls_in_a_box_of_its_own_and_keeps_its_sides():
    box = tree("| a | b |\n| :-- | --: |\n| x | 1 |\n").find("div")
    assert (box.get("class"), box.get("tabindex")) == ("wide", "0")
    assert [cell.get("style") for cell in box.iter("td")] == ["text-align:left", "text-align:right"]


def test_a_table_with_long_names_says_in_which_of_its_first_columns():
    long = "a name that takes more than a line"
    found = [
        tree(f"| a | b | c |\n| :-- | :-- | :-- |\n| {one} | {two} | {long} |\n").find(".//table")
        for one in ("x", long)
        for two in ("y", long)
    ]
    assert [table.get("class") for table in found] == [None, "long-2", "long-1", "long-1 long-2"]


def test_a_long_page_begins_with_its_sections(tmp_path, check_page):
    sections = [html_of("# T"), *(html_of("## Part & `code`") for _ in range(4))]
    (tmp_path / "long.html").write_text(html_page("T", sections))
    links = list(check_page(tmp_path / "long.html").find(".//nav").iter("a"))
    assert [link.get("href") for link in links] == [f"#section-{i}" for i in range(1, 5)]
    assert "".join(links[2].itertext()) == "Part & code"
    (tmp_path / "short.html").write_text(html_page("T", sections[:4]))
    assert check_page(tmp_path / "short.html").find(".//nav") is None


def test_the_page_knows_day_and_night_phones_and_print():
    page = html_page("T", [])
    for said in ("prefers-color-scheme: dark", "width=device-width", "@media print"):
        assert said in page
    assert re.search(r"Content-Security-Policy\" content=\"default-src 'none'", page)
