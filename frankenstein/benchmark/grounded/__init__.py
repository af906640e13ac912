"""Tests whose right answer is known: one file each, with its paper."""
