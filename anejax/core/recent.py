"""A table of bounded size that forgets the least recently used entry.

The caches of traced functions, transformed Graphs and compiled programs are such tables.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Recent(Generic[K, V]):
    """A table of at most ``entries`` entries, which together cost at most ``cost`` (bytes, as far as they are known).

    The entry that was put in last always stays. Threads may share a table.
    """

    def __init__(self, entries: int, cost: int = 0) -> None:
        self._entries, self._most = entries, cost
        self._table: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._cost = 0

    def get(self, key: K) -> V | None:
        """The value of ``key``, or None. The entry becomes the most recently used one."""
        found = self._table.get(key)
        if found is None:
            return None
        try:  # contextlib.suppress costs a tenth of a jitted call
            self._table.move_to_end(key)
        except KeyError:  # another thread has just made room
            return found[0]
        return found[0]

    def put(self, key: K, value: V, cost: int = 0) -> None:
        """Adds an entry, or replaces it, and forgets others if there is no room."""
        old = self._table.pop(key, None)
        self._table[key] = value, cost
        self._cost += cost - (old[1] if old is not None else 0)
        while len(self._table) > self._entries or (self._most and self._cost > self._most and len(self._table) > 1):
            try:
                _, (_, less) = self._table.popitem(last=False)
            except KeyError:
                break
            self._cost -= less

    def values(self) -> Iterator[V]:
        """The values, that of the entry used last at the end."""
        return iter([value for value, _ in list(self._table.values())])

    def clear(self) -> None:
        """Forgets everything."""
        self._table.clear()
        self._cost = 0

    def __len__(self) -> int:
        return len(self._table)
