"""Are the activations of an image alike, as they stand and sorted?"""
