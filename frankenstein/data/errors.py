"""What can be wrong with the data that a run starts from."""

from frankenstein.errors import UserError


class DataError(UserError):
    """Data that is absent, damaged or does not fit; the message says which, where, what to do."""
