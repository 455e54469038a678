"""Messages between a process and its worker: pickled, over a pair of sockets, with open file descriptors attached.

The sockets have no name and only the two processes hold them, so nobody else can send data that is unpickled.
"""

from __future__ import annotations

import pickle
import socket
import struct
from typing import Any

HEAD = struct.Struct("Q")  # the bytes that follow
PIECE = 1 << 20  # bytes read at a time


class Closed(Exception):
    """The other end is gone."""


class Link:
    """One end. A ``receive`` that an exception ended goes on where it was when it is called again."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._got, self._files = bytearray(), list[int]()

    def send(self, message: Any, file: int | None = None) -> None:
        """Sends ``message``, and the open ``file``. Raises Closed; OSError, after which the link is of no use."""
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        try:
            head = HEAD.pack(len(data))
            sent = socket.send_fds(self._end, [head], [] if file is None else [file])
            self._end.sendall(head[sent:])
            self._end.sendall(data)
        except (BrokenPipeError, ConnectionResetError) as err:
            raise Closed from err

    def receive(self) -> tuple[Any, list[int]]:
        """The next message, and the files that came with it. Raises Closed; TimeoutError."""
        while (missing := self._missing()) > 0:
            try:  # never more than this message, so that a file goes with its own
                data, files, _, _ = socket.recv_fds(self._end, min(missing, PIECE), 1)
            except ConnectionResetError as err:
                raise Closed from err
            if not data:
                raise Closed
            self._files += files
            self._got += data
        got, files = self._got, self._files
        self._got, self._files = bytearray(), []
        return pickle.loads(memoryview(got)[HEAD.size :]), files

    def _missing(self) -> int:
        """Bytes of the message, or of its head, that are to come."""
        if len(self._got) < HEAD.size:
            return HEAD.size - len(self._got)
        return HEAD.size + HEAD.unpack_from(self._got)[0] - len(self._got)

    def limit(self, seconds: float | None) -> None:
        """The time limit of one wait."""
        self._end.settimeout(seconds)

    def close(self) -> None:
        self._end.close()
