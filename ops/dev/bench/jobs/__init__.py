"""`make bench`: how fast jobs are, compared with the peers, in one run on the same new servers; read the ratios."""
