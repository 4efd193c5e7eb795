# noqa: INP001 - a script of the image, no part of a package
"""`ready.py PORT`: health check of a container: request /readyz of its process; exit with 0 only for the answer 200."""

# PERF: sockets only: it runs every three seconds in every container, and importing an HTTP client takes longer.
import socket
import sys


def main() -> int:
    """Request /readyz once."""
    port = int(sys.argv[1])
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=4) as connection:
            connection.sendall(b"GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n")
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
    except OSError as error:
        print(f"port {port}: {error}")
        return 1
    head, _, body = answer.partition(b"\r\n\r\n")
    print(body.decode(errors="replace"))  # Docker keeps it: `docker inspect` shows why a container is unhealthy.
    return 0 if head.split(b" ", 2)[1:2] == [b"200"] else 1


if __name__ == "__main__":
    sys.exit(main())
