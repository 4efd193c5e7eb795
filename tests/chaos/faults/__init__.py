"""The faults, each bounded in time: it ends itself before its function returns.

They are dealt in three lanes which run side by side: what happens to processes, to servers, and to connections.
"""

from tests.chaos.faults import connections, processes, servers
from tests.chaos.faults.deck import FAULTS, LANES, Fault, Lane, deal

__all__ = ["FAULTS", "LANES", "Fault", "Lane", "connections", "deal", "processes", "servers"]
