"""`make acceptance`: the long forms of the tests that `make test` has short, each area with a kept result."""
