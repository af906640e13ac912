"""Stitches between two frozen networks: solved, trained, scored beside controls."""
