"""The grounded tests by name, as facts that are read before torch is imported."""

from collections.abc import Mapping

from frankenstein.catalog import Entry

_WHERE = "frankenstein.benchmark.grounded"

TESTS: Mapping[str, Entry] = {
    "accuracies": Entry(f"{_WHERE}.accuracies:TEST", "networks that are as often right are alike"),
    "answers": Entry(f"{_WHERE}.answers:TEST", "networks that answer alike are alike"),
    "random_labels": Entry(f"{_WHERE}.random_labels:TEST", "0 to 100 % of labels at random"),
    "shortcuts": Entry(f"{_WHERE}.shortcuts:TEST", "a marker that tells the class, 0 to 100 %"),
    "augmentation": Entry(f"{_WHERE}.augmentation:TEST", "none to four times over"),
    "layers": Entry(f"{_WHERE}.layers:TEST", "near layers are more alike than far ones"),
    "moved_points": Entry(f"{_WHERE}.moved_points:TEST", "a class moved, as separable as before"),
    "class_noise": Entry(f"{_WHERE}.class_noise:TEST", "a source that knows the class alone"),
    "untrained": Entry(f"{_WHERE}.untrained:TEST", "trained networks against untrained ones"),
}
