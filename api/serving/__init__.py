"""How gunicorn serves the application: requests are read whole before one takes a thread, and health has its own port.

`worker` is gunicorn's worker class, `connection` one client's connection, `refusals` what is answered to a request that
never reaches the application, `health` the health port.
"""
