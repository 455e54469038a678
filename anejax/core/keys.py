"""Typed keys: arrays whose elements are keys of random bits. Each array holds the words of its keys, uint32[..., 2]."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anejax import tree
from anejax.core.array import Array
from anejax.core.aval import Aval
from anejax.dtypes import KEY
from anejax.treedefs import HIDDEN


class KeyArray(Array):
    """A typed key, or an array of them: an Array of dtype ``key<fry>``. A leaf of trees to users, and to the package a
    node over its words, uint32[..., 2].

    Functions that only move elements take it (indexing, reshape, concatenate, where, ...); those of numbers do not.

    Example:
        >>> from anejax import random
        >>> keys = random.split(random.key(0), 3)
        >>> keys.shape, keys[0].shape, keys.at[0].set(keys[1]).dtype
        ((3,), (), key<fry>)
    """

    __slots__ = ("_words",)

    def __init__(self, words: Any) -> None:
        self._words = words

    @property
    def aval(self) -> Aval:  # type: ignore[override]
        """The shape of the keys, and their dtype."""
        return Aval(tuple(self._words.shape[:-1]), KEY)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        raise TypeError("[numpy.asarray] expected numbers, got keys. Take their words with random.key_data.")

    def block_until_ready(self) -> KeyArray:
        """Waits for the words."""
        self._words.block_until_ready()
        return self

    def is_deleted(self) -> bool:
        """Whether the memory of the words was given up."""
        return self._words.is_deleted()

    def delete(self) -> None:
        """Releases the memory of the words."""
        self._words.delete()

    def __repr__(self) -> str:
        if not isinstance(self._words, Array):  # words from eval_shape are not an Array
            return f"ShapeDtypeStruct(shape={self.shape}, dtype={self.dtype})"
        return f"Array({self.shape}, dtype={self.dtype}) overlaying:\n{self._words}"


HIDDEN.add(KeyArray)
tree.register_node(KeyArray, lambda k: ((k._words,), None), lambda _, words: KeyArray(*words))
