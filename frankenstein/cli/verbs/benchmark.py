"""The words of `frankenstein benchmark`; its fields are in `benchmark/plan.py`."""

from frankenstein.cli.words import Words

WORDS = Words(
    about="""
        Which measure can be trusted? Networks are trained under conditions that are known to make
        them differ (seeds, labels at random, a marker that tells the class, augmentation, none at
        all), and every measure, stitch and control is scored by how well it tells what is known:
        Spearman's correlation, AUPRC and violation rate, each with an interval, as every rank has.

        Each network is trained once, on all cores, and runs once over the images that tests show.
        What was interrupted goes on with the same line. Digits take minutes; how many is printed
        first. A new measure takes part by its row of the catalog.
        """,
    examples="""
        frankenstein benchmark
        frankenstein benchmark --dry-run
        frankenstein benchmark -m tiny10 -d fashion -e 5 \\
            --tests random_labels shortcuts
        frankenstein benchmark --measures unbiased_cka mutual_knn --seeds 10
        """,
    flags={"model": "-m"},
    first=(
        "tests",
        "measures",
        "dataset",
        "data_root",
        "model",
        "layer",
        "seeds",
        "epochs",
        "workers",
        "dry_run",
    ),
    goes_on=True,
)
