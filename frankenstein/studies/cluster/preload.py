"""What the server imports that runs are forked from: all that a run may need. Nothing is run."""

from frankenstein.catalog import VERBS

for row in VERBS.values():
    if row.is_step:
        _ = row.target, row.runner
