"""Which sparse features make up a layer?"""
