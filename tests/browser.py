"""`make browser`: reports in headless Chromium, by axe-core's rules, by mouse and by keyboard.

    python tests/browser.py AXE.min.js [REPORT.html ...]

Without reports it makes some: of comparisons, stitches, questions and a study, and the index.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path

WEIGHTS = Path(__file__).parents[1] / "model_weights" / "tiny10" / "digits"
MOST_BYTES = 3_000_000
SECONDS = 120  # for one look
STUDY = """
networks: {train: {model: lenet, dataset: digits, epochs: 2}, seeds: 0..2}
pairs: all
compare: {}
stitch: {all: true, epochs: 0, untrained: 1}
"""
SIZES = {"desk": (1280, 900), "phone": (500, 900)}
LIGHTS = {"light": 1, "dark": 0}
CHROMIUM = (
    "chromium",
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--enable-logging=stderr",
)
# What a person does: reads, moves by keyboard, clicks, folds out. Whatever is wrong is told.
ACT = """
const wrong = [];
const check = (holds, text) => holds || wrong.push(text);
const room = document.documentElement.clientWidth;
check(document.documentElement.dataset.ready === "yes", "the page's script did not run to its end");
check(document.documentElement.scrollWidth <= room, "the page scrolls sideways");
for (const one of document.querySelectorAll("details")) one.open = true;
for (const box of document.querySelectorAll("div.wide")) {
  const side = box.getBoundingClientRect();
  check(side.left >= 0 && side.right <= room + 1, "a table or matrix is cut by the window");
}
for (const svg of document.querySelectorAll("svg.cells")) {
  const whole = svg.getBoundingClientRect();
  for (const text of svg.querySelectorAll("text")) {
    const one = text.getBoundingClientRect();
    const inside = one.left >= whole.left - 1 && one.right <= whole.right + 1 &&
      one.top >= whole.top - 1 && one.bottom <= whole.bottom + 1;
    check(inside, `clipped: ${text.textContent}`);
  }
}
for (const figure of document.querySelectorAll("figure.matrix")) {
  const box = figure.querySelector(".wide");
  const press = (key) => box.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  press("ArrowDown");
  const first = figure.querySelector("output").textContent;
  press("ArrowRight");
  const second = figure.querySelector("output").textContent;
  check(/: -?[\\d.]+|n\\/a/.test(first) && first !== second, "arrow keys do not move");
  press("Enter");
  check(figure.querySelector(".pair table"), "Enter shows no pair");
  figure.querySelector(".pair button").click();
  figure.querySelector(".grid rect").dispatchEvent(new MouseEvent("click", { bubbles: true }));
  check(figure.querySelector(".pair table"), "a click shows no pair");
}
for (const select of document.querySelectorAll(".choices select")) {
  select.selectedIndex = select.options.length - 1;
  select.dispatchEvent(new Event("change"));
  select.selectedIndex = 0;
  select.dispatchEvent(new Event("change"));
}
for (const circle of document.querySelectorAll(".map circle[data-point]")) {
  circle.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  const said = circle.closest(".map").nextElementSibling;
  check(said.querySelector("img"), "a click shows no images of a point");
}
const buttons = [...document.querySelectorAll(".get button")];
const button = buttons.find((one) => one.textContent === "LaTeX");
if (button) {
  button.click();
  const text = document.querySelector("textarea");
  check(text && text.value.includes("\\\\toprule"), "no table in LaTeX");
}
axe.run().then((found) => {
  for (const one of found.violations) {
    wrong.push(`axe ${one.id}: ${one.help}; ${one.nodes[0].html.slice(0, 200)}`);
  }
  const told = document.createElement("pre");
  told.id = "told";
  told.textContent = JSON.stringify(wrong);
  document.body.append(told);
});
"""


def main(axe: str, *reports: str) -> int:
    """Print what is wrong with each report; the exit code is 1 if anything is."""
    with tempfile.TemporaryDirectory() as folder:
        pages = [*map(Path, reports)] or made(Path(folder))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            wrong = sum(pool.map(lambda page: told(page, Path(axe)), pages))
    print(f"{len(pages)} pages in {len(SIZES) * len(LIGHTS)} looks: {wrong} problems")
    return bool(wrong)


def told(page: Path, axe: Path) -> int:
    """Print what is wrong with one page, as soon as it is known; returns how much that is."""
    start = time.monotonic()
    found = problems(page, axe)
    megabytes, seconds = page.stat().st_size / 1e6, time.monotonic() - start
    print(*found, f"{page}: {megabytes:.2f} MB, {seconds:.0f} s", sep="\n", flush=True)
    return len(found)


def made(folder: Path) -> list[Path]:
    """Reports of the networks that ship: of few examples and controls, for they are looked at."""
    pair = [str(WEIGHTS / f"{name}.safetensors") for name in ("in0-gn0", "in1-gn1")]
    study = folder / "study.yaml"
    study.write_text(STUDY, encoding="utf-8")
    sure, few = ["--bootstrap", "40", "--permutations", "40"], ["--untrained", "1"]

    def make(words: list[str]) -> None:
        line = [sys.executable, "-m", "frankenstein", *words, "-o", str(folder), "--quiet"]
        start = time.monotonic()
        subprocess.run(line, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        print(f"made {' '.join(words)[:70]}: {time.monotonic() - start:.0f} s", flush=True)

    runs = (
        ["analyze", *pair, "relu3", "--all", "--examples", "300", "--untrained", "2"],
        ["study", "--config", str(study)],
        ["stitch", *pair, "--sender-layers", "bn1", "bn8", "-e", "0", *few],
        ["compare", *pair, "bn*,fc", "bn*,fc", "unbiased_cka", "linear_cka", *sure],
        ["stitch", *pair, "bn3", "bn3", "-i", "ps_inv", "-e", "0", *few],
        ["compare", *pair, "tiny10#2", "-d", "digits"],
    )
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each has one thread
        [*pool.map(make, runs)]
    return [*sorted(folder.glob("*/*/report.html")), folder / "index.html"]


def problems(page: Path, axe: Path) -> list[str]:
    """A line for everything that is wrong with one page."""
    with tempfile.TemporaryDirectory() as folder:
        return [f"{page}: {line}" for line in dict.fromkeys(_problems(page, axe, Path(folder)))]


def _problems(page: Path, axe: Path, folder: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    found = []
    if len(text.encode()) > MOST_BYTES:
        found.append(f"{len(text.encode())} bytes")
    found += complaints(shown(page, *SIZES["desk"], LIGHTS["light"])[1])  # with its own policy
    # The check's own scripts are let in: the page's policy would refuse them.
    open_to_all = re.sub(r"<meta http-equiv=[^>]*>", "", text)
    scripts = f"<script>{axe.read_text(encoding='utf-8')}</script><script>{ACT}</script>"
    copy = folder / "checked.html"
    copy.write_text(open_to_all.replace("</body>", f"{scripts}</body>"), encoding="utf-8")
    for size, (width, height) in SIZES.items():
        for light, number in LIGHTS.items():
            document, log = shown(copy, width, height, number)
            said = re.search(r'<pre id="told">(.*?)</pre>', document, re.DOTALL)
            lines = json.loads(unescape(said[1])) if said else ["the check did not end"]
            found += [f"{size}, {light}: {line}" for line in [*lines, *complaints(log)]]
    return found


def shown(page: Path, width: int, height: int, light: int) -> tuple[str, str]:
    """The document as the browser has it in the end, and what it logged."""
    look = [f"--window-size={width},{height}", f"--blink-settings=preferredColorScheme={light}"]
    line = [*CHROMIUM, *look, "--virtual-time-budget=20000", "--dump-dom", page.resolve().as_uri()]
    try:
        ended = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, check=True)
    except subprocess.TimeoutExpired:
        return "", f"CONSOLE nothing within {SECONDS} seconds"
    return ended.stdout, ended.stderr


def complaints(log: str) -> list[str]:
    """What the page wrote to the console."""
    return [
        f"console: {line.split('CONSOLE')[1][:300]}"
        for line in log.splitlines()
        if "CONSOLE" in line
    ]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
