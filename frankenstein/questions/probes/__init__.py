"""What can be read out of each layer?"""
