"""A network as a value: opened, checked and known once, then passed on."""
