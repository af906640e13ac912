"""`python -m frankenstein VERB ...`, as `frankenstein VERB ...`."""

from frankenstein.cli import main

if __name__ == "__main__":  # a worker process that imports this file must not run it
    raise SystemExit(main())
