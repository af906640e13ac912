from frankenstein.cli import main


def test_without_augmentation_representations_are_kept_and_a_run_says_so(
    few_digits, saved, capsys, tmp_path
):
    words = [saved("lenet", 0), saved("lenet", 1), "pool1", "pool1", "-e", "2", "--no-augment"]
    words += ["--untrained", "1"]
    assert main(["stitch", *words, "--accelerator", "cpu"]) == 0
    assert "the sender's representations of 256 training images x 4,704" in capsys.readouterr().out
    (folder,) = (tmp_path / "results/stitch").iterdir()
    assert folder.name.endswith("-pool1-pool1-random-unaugmented-e2-untrained1")
    assert "\naugment: false\n" in (folder / "config.yaml").read_text()
