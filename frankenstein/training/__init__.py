"""Networks and stitches are trained: the Trainer, its devices, and the plan of `train`."""
