"""The processes that carry and run jobs: the relay publishes what is due, the workers claim, run and finish it."""
