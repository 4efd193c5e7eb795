"""The outside world behind small functions and protocols: brokers, mail, Redis."""
