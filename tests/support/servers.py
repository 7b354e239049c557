"""Servers that are no Dask scheduler."""

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

PAGE = b"HTTP/1.1 400 Bad Request\r\n\r\n" * 9
"""An answer of a server of web pages."""


@contextmanager
def answering(answer: bytes, address: str = "tcp://127.0.0.1:0") -> Iterator[str]:
    """Listen at an address, and give everybody who connects the same answer; yield the address."""
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    with closing(socket.create_server((host, int(port)))) as listener:
        # They stay open: a client whose message is left unread would be reset, and may not read the answer.
        connections: list[socket.socket] = []

        def answer_all() -> None:
            while True:
                try:
                    connections.append(listener.accept()[0])
                    connections[-1].sendall(answer)
                except OSError:
                    return

        thread = threading.Thread(target=answer_all)
        thread.start()
        try:
            yield f"tcp://{host}:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in connections:
                connection.close()
