"""`moneyflow new`: write the files of a new part in a checkout."""
