"""What do the units of each layer do?"""
