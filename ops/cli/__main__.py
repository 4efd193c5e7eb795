"""`python -m ops.cli`: the same as `moneyflow`."""

from ops.cli import main

main()
