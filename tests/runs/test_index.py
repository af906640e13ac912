import json
import os
import re
import threading
from pathlib import Path

from frankenstein.runs.index import write_index


def made(folder, ended, **record):
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps({"accuracy/held_out": 0.5}))
    (folder / "report.html").touch()
    (folder / "run.json").write_text(json.dumps({"verb": "train", "seconds": 1.5, **record}))
    os.utime(folder / "summary.json", (ended, ended))


def links(folder):
    return re.findall(r'<a href="([^"]+)">', (folder / "index.html").read_text())


def test_the_index_lists_finished_runs_newest_first_with_what_they_found(tmp_path):
    made(tmp_path / "train/old", 1000)
    made(tmp_path / "compare/new", 3000, verb="compare", finding="The highest `cka` <is> 0.9.")
    made(tmp_path / "study/s/train/inside", 2000)
    made(tmp_path / "train/half.partial", 4000)
    made(tmp_path / "train/damaged", 5000)
    (tmp_path / "train/damaged/run.json").write_text("{")
    write_index(tmp_path)
    pages = ["compare/new", "study/s/train/inside", "train/old"]
    assert links(tmp_path) == [f"{page}/report.html" for page in pages]
    page = (tmp_path / "index.html").read_text()
    assert "3 finished runs" in page
    assert "cka" in page
    assert "<is>" not in page
    assert "accuracy/held_out 50.00 %" in page
    assert '<table data-sort="yes"' in page
    assert "table[data-sort]" in page  # the script that sorts is that of all pages


def test_the_index_has_a_runs_first_picture_and_the_beginning_of_what_it_found(tmp_path):
    made(tmp_path / "stitch/a b", 1, finding=f"89 % right; above `untrained`; {'and so on ' * 20}.")
    (tmp_path / "stitch/a b/report.md").write_text("# T\n\n![bars](figures/one.png)\n![b](two)\n")
    write_index(tmp_path)
    page = (tmp_path / "index.html").read_text()
    assert page.count("<img ") == 1
    assert 'src="stitch/a%20b/figures/one.png" alt=""' in page
    assert "<td>89 % right; above untrained …</td>" in page
    assert "img-src 'self' data:" in page


def test_runs_that_end_at_once_are_all_in_the_index(tmp_path):
    def end(number):
        made(tmp_path / f"train/{number}", number)
        write_index(tmp_path)

    threads = [threading.Thread(target=end, args=(number,)) for number in range(1, 9)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(links(tmp_path)) == 8
    assert [path.name for path in tmp_path.glob("*index*")] == ["index.html"]


def test_an_index_that_cannot_be_written_fails_nothing(tmp_path):
    made(tmp_path / "train/one", 1000)
    (tmp_path / "index.html").mkdir()
    write_index(tmp_path)
    assert (tmp_path / "index.html").is_dir()


def test_every_run_writes_the_index(run, saved, few_digits):
    run("evaluate", saved("mlp"), "--run-name", "one")
    assert links(Path("results")) == ["evaluate/one/report.html"]
