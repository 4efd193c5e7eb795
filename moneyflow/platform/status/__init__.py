"""Status: how every server, process and queue is, as one typed snapshot, and the conditions that need an operator.

`StatusService.snapshot()` asks; command line, console, checks and alarms present its result. A server that is down is
part of the answer: what it alone knows is None in the snapshot.
"""
