"""Compare two networks layer by layer: the same code as `frankenstein compare`."""

from frankenstein.cli import main

if __name__ == "__main__":  # a worker process that imports this file must not run it
    raise SystemExit(main(verb="compare"))
