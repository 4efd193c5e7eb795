"""`make bench`: how fast jobs are, beside the peers, in one run on the same fresh servers; read the ratios."""
