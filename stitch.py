"""Stitch the front of one network to the end of another: the same code as `frankenstein stitch`."""

from frankenstein.cli import main

if __name__ == "__main__":  # a worker process that imports this file must not run it
    raise SystemExit(main(verb="stitch"))
