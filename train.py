"""Train a network of the zoo: the same code as `frankenstein train`."""

from frankenstein.cli import main

if __name__ == "__main__":  # a worker process that imports this file must not run it
    raise SystemExit(main(verb="train"))
