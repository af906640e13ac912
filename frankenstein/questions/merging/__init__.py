"""Can the weights of two networks be averaged?"""
