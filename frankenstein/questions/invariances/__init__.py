"""Which other images does a layer take for the same, and does another network, too?"""
