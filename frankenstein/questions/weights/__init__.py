"""How are the weights of each layer spread, and how far apart?"""
