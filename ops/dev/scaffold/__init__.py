"""`moneyflow new`: writes the files of something new in a checkout."""
