"""What every process of Money Flow shares; it knows no process."""
