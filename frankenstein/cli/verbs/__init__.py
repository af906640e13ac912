"""One file a verb: the words of its options."""
