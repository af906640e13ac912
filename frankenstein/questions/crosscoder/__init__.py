"""Which features do two networks share, in one dictionary of both?"""
