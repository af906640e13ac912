"""What `frankenstein VERB` and the three scripts run; nothing heavy is imported before parsing."""

from frankenstein.cli.entry import main

__all__ = ["main"]
