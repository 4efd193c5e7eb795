"""The part `api` of the benchmarks: accounts over HTTP, by Money Flow and by FastAPI with SQLModel.

Its parts in their order: `sites` (the two applications and their requests), `load` (wrk), `measure` (the rounds).
"""
