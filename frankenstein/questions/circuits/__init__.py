"""Which units are active together, and are they the same in both networks?"""
