"""Many networks at once: each runs once, and what comes out is between all of them."""
