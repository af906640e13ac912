"""The wheel by itself, without this checkout: what travels with it is found."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_a_wheel_in_an_empty_folder_has_its_configs_and_small_networks(tmp_path):
    made, inside, here = (tmp_path / name for name in ("made", "inside", "here"))
    here.mkdir()
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(made)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = made.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(inside)

    program = (
        "import sys, frankenstein; from frankenstein.cli import main; "
        "assert frankenstein.__file__.startswith(sys.argv[1]); sys.exit(main(sys.argv[2:]))"
    )
    # The config names two networks of model_weights/.
    words = ["compare", "--config", "configs/compare/tiny10_digits.yaml", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", program, str(inside), *words, "--accelerator", "cpu"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(inside)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (here / done.stdout.strip() / "summary.json").is_file()
