"""Money Flow: the code that all processes share. It imports no process."""
