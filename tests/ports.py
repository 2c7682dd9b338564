"""Ports for servers that tests start, such that two test suites on one machine do not collide."""

import contextlib
import socket


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody uses at this moment."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
