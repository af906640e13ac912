"""Questions about networks: each asks and computes, and shows what it found."""
