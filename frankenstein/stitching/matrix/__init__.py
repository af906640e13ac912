"""Every layer of one network stitched to every layer of another."""
