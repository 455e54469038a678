"""Parses MIL text into a Program.

The text may come from anywhere. Whatever it contains, the result is a Program or a ParseError with line and column. No
grammar rule calls itself, so nesting cannot exhaust the stack, and sizes are checked before memory of that size is
allocated. verify.py checks whether operations are used correctly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar

import numpy as np

from anejax.errors import MilError, ParseError
from anejax.mil.program import (
    FLOAT_DTYPES,
    NUMPY_DTYPES,
    Array,
    BlobRef,
    ConstData,
    Function,
    Op,
    Operand,
    Program,
    Type,
    Value,
    as_doubles,
)

MAX_TEXT = 2**28  # characters
MAX_DIGITS = 64  # of one number

TOKEN = re.compile(
    r"""\s*(?:
      (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>-?(?:0[xX][0-9a-fA-F]*\.?[0-9a-fA-F]*(?:[pP][+-]?[0-9]+)?
                    | [0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?
                    | inf)
                 (?![\w.]))
    | (?P<string>"(?:[^"\\\x00-\x1f]|\\.)*")
    | (?P<mark>->|[(){}\[\]<>,;=])
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.ASCII,
)
SPACES = " \t\n\r\f\v"
UNESCAPED = {"\\\\": "\\", '\\"': '"', "\\n": "\n", "\\t": "\t"}
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
NARROW = {"int4": "int8", **dict.fromkeys(("uint1", "uint2", "uint3", "uint4", "uint6"), "uint8")}  # are read as
LITERAL_WORDS = frozenset(
    [*NUMPY_DTYPES, *NARROW, "string", "tensor", "true", "false"]
)  # that an inline literal starts with
OPENS = re.compile(r"\s*[(<]", re.ASCII)
INTEGER = re.compile(r"-?[0-9]+")
HEX_FLOAT = re.compile(r"-?0[xX]")

T = TypeVar("T")


def parse(text: str) -> Program:
    """The program that `text` spells; ParseError names the line and column where it does not."""
    if len(text) > MAX_TEXT:
        raise ParseError(f"[mil] 1:1: expected at most {MAX_TEXT} characters, got {len(text)}")
    return _Parser(text).program()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.scope: dict[str, Value] = {}
        self.states: dict[str, Value] = {}  # the function's states, in the order of the text
        self.taken: set[str] = set()
        self.literals = 0
        self.end = 0
        self.counted, self.lines = 0, 1  # lines are counted as statements come, which stays linear
        self.advance()

    # ---- tokens

    def advance(self) -> None:
        match = TOKEN.match(self.text, self.end)
        if match is None:
            rest = self.text[self.end :]
            self.start = len(self.text) - len(rest.lstrip(SPACES))
            self.fail(f"expected a token of MIL, got {self.text[self.start]!r}")
        self.kind = match.lastgroup or ""
        self.token = match.group(self.kind)
        self.start, self.end = match.start(self.kind), match.end()

    def fail(self, message: str, at: int | None = None) -> NoReturn:
        at = self.start if at is None else at
        line = self.text.count("\n", 0, at) + 1
        column = at - self.text.rfind("\n", 0, at)
        raise ParseError(f"[mil] {line}:{column}: {message}")

    def expected(self, what: str) -> NoReturn:
        shown = self.token if len(self.token) <= 40 else f"{self.token[:40]}..."
        self.fail(f"expected {what}, got {shown!r}" if self.token else f"expected {what}, got the end of the text")

    def take(self, kind: str, what: str) -> str:
        if self.kind != kind:
            self.expected(what)
        token = self.token
        self.advance()
        return token

    def mark(self, *marks: str) -> None:
        for text in marks:
            if self.kind == "string" or self.token != text:
                self.expected(repr(text))
            self.advance()

    def at(self, text: str) -> bool:
        return self.kind != "string" and self.token == text

    def name(self, what: str = "a name") -> str:
        return self.take("name", what)

    def listed(self, close: str, item: Callable[[], T]) -> Iterator[T]:
        """Items separated by commas, then `close`. A comma before `close` is an error."""
        while not self.at(close):
            yield item()
            if not self.at(close):
                self.mark(",")
                if self.at(close):
                    self.expected("one more item")
        self.mark(close)

    # ---- program and functions

    def program(self) -> Program:
        self.mark("program", "(")
        version = self.take("number", "a version")
        self.mark(")")
        self.build_info()
        self.mark("{")
        functions: dict[str, Function] = {}
        while not self.at("}"):
            at = self.start
            function = self.function()
            if function.name in functions:
                self.fail(f"expected a new function name, got {function.name!r} again", at)
            functions[function.name] = function
        self.mark("}")
        if self.kind != "end":
            self.expected("the end of the text")
        return Program(tuple(functions.values()), version)

    def build_info(self) -> None:
        if not self.at("["):
            return
        self.mark("[")
        self.name("buildInfo")
        self.mark("=", "dict", "<")
        self.type()
        self.mark(",")
        self.type()
        self.mark(">", "(", "{")
        for _ in self.listed("}", self.build_pair):
            pass
        self.mark(")", "]")

    def build_pair(self) -> None:
        self.mark("{")
        self.take("string", "a string")
        self.mark(",")
        self.take("string", "a string")
        self.mark("}")

    def function(self) -> Function:
        self.mark("func")
        name = self.name("a function name")
        self.mark("<")
        opset = self.name("an opset")
        self.mark(">", "(")
        self.scope, self.states = {}, {}
        inputs = tuple(self.listed(")", self.input))
        self.mark("{")
        ops: list[Op] = []
        while not self.at("}"):
            op = self.statement()
            if op is not None:
                ops.append(op)
        self.mark("}", "->", "(")
        outputs = tuple(self.listed(")", self.reference))
        self.mark(";")
        outputs += tuple(self.scope[name] for name, given in self.states.items() if self.scope[name] is not given)
        return Function(name, inputs, tuple(ops), outputs, opset)

    def input(self) -> Value:
        """An input; `state<type>` is one whose last value is a result as well, if it was updated."""
        is_state = self.at("state")
        if is_state:
            self.mark("state", "<")
        type = self.type()
        if is_state:
            self.mark(">")
        at = self.start
        value = self.define(Value(self.name(), type), at)
        if is_state:
            self.states[value.name] = value
        return value

    def update(self, op: Op) -> None:
        """From an update on the state's name is the new value's."""
        for name in self.states:
            if op.operands.get("state") is self.scope[name] and len(op.results) == 1:
                self.scope[name] = op.results[0]

    # ---- statements

    def statement(self) -> Op | None:
        """`types and names = op(operands)[attributes];`. A const() only defines a value: None."""
        line = self.text.count("\n", self.counted, self.start) + self.lines
        self.counted, self.lines = self.start, line
        results = [self.result()]
        while self.at(","):
            self.mark(",")
            results.append(self.result())
        self.mark("=")
        name = self.name("an operation")
        self.mark("(")
        operands = self.named(")", self.operand)
        attributes = self.attributes()
        self.mark(";")
        if name == "const":
            self.constant(results, operands, attributes)
            return None
        values = tuple(self.define(Value(n, t), at) for n, t, at in results)
        if name.startswith("constexpr_"):  # texts have their operands among the attributes
            operands, attributes = {**operands, **attributes}, {}
        op = Op(name, operands, values, attributes, line)
        if name == "coreml_update_state":
            self.update(op)
        return op

    def result(self) -> tuple[str, Type, int]:
        type = self.type()
        at = self.start
        return self.name(), type, at

    def constant(
        self, results: list[tuple[str, Type, int]], operands: dict[str, Operand], attributes: dict[str, Value]
    ) -> None:
        name, type, at = results[0]
        if len(results) != 1 or operands or set(attributes) != {"val"}:
            self.fail("expected const() with one result, no operands, and the attributes name and val", at)
        value = attributes["val"]
        if value.type != type:
            self.fail(f"expected a value of the declared type {type}, got {value.type}", at)
        self.define(Value(name, type, value.const), at)

    def named(self, close: str, item: Callable[[], T]) -> dict[str, T]:
        """`name = item` pairs up to `close`, each name once."""
        found: dict[str, T] = {}

        def pair() -> None:
            at = self.start
            key = self.name("an operand name")
            if key in found:
                self.fail(f"expected each name once, got {key!r} again", at)
            self.mark("=")
            found[key] = item()

        for _ in self.listed(close, pair):
            pass
        return found

    def operand(self) -> Operand:
        if not self.at("("):
            return self.value()
        self.mark("(")
        return tuple(self.listed(")", self.value))

    def attributes(self) -> dict[str, Value]:
        """The constants in the brackets after a statement but its name; texts by hand leave the brackets out."""
        if not self.at("["):
            return {}
        self.mark("[")
        at = self.start
        attributes = self.named("]", self.attribute)
        name = attributes.pop("name", None)
        if name is not None and not isinstance(name.const, str):
            self.fail(f"expected the name of a statement to be a string, got {name.type}", at)
        return attributes

    def attribute(self) -> Value:
        """A literal, or the name of a value, which may be that of a type."""
        if OPENS.match(self.text, self.end) or (self.token in ("true", "false") and self.token not in self.scope):
            return self.literal()
        return self.reference()

    def value(self) -> Value:
        """An SSA name or an inline literal: a word that no value is called by is a dtype, true or false."""
        return self.literal() if self.token in LITERAL_WORDS and self.token not in self.scope else self.reference()

    def reference(self) -> Value:
        at = self.start
        name = self.name("a value")
        if name not in self.scope:
            self.fail(f"expected a value defined above, got {name!r}", at)
        return self.scope[name]

    def define(self, value: Value, at: int) -> Value:
        if value.name in self.scope:
            self.fail(f"expected a new name, got {value.name!r} again", at)
        self.scope[value.name] = value
        return value

    # ---- types and literals

    def type(self) -> Type:
        at = self.start
        dtype, shape = self.name("a type"), ()
        if dtype == "tensor":
            self.mark("<")
            dtype = self.name("a dtype")
            self.mark(",", "[")
            shape = tuple(self.listed("]", self.size))
            self.mark(">")
        try:
            return Type(NARROW.get(dtype, dtype), shape)
        except MilError as error:
            self.fail(str(error), at)

    def size(self) -> int:
        return self.integer(self.start, self.take("number", "a size"), 0, 2**63)

    def literal(self) -> Value:
        if self.at("true") or self.at("false"):
            return Value(self.fresh(), Type("bool"), self.array(Type("bool"), [self.boolean()]))
        type = self.type()
        self.mark("(")
        data = self.blob() if self.at("BLOBFILE") else self.data(type)
        self.mark(")")
        return Value(self.fresh(), type, data)

    def fresh(self) -> str:
        """A name for an inline literal that occurs nowhere in the text."""
        if not self.taken:
            self.taken.update(IDENTIFIER.findall(self.text))
        while (name := f"c{self.literals}") in self.taken:
            self.literals += 1
        self.literals += 1
        return name

    def blob(self) -> BlobRef:
        self.mark("BLOBFILE", "(")
        at = self.start
        fields = self.named(")", self.scalar)
        path, offset = fields.get("path"), fields.get("offset")
        if len(fields) != 2 or not isinstance(path, str) or not isinstance(offset, int) or isinstance(offset, bool):
            self.fail('expected BLOBFILE(path = string("..."), offset = uint64(...))', at)
        return BlobRef(path, offset)

    def scalar(self) -> Any:
        """A literal of rank 0 as a Python value; not a BLOBFILE, so that those cannot nest."""
        at = self.start
        type = self.type()
        if type.shape:
            self.fail(f"expected a single value, got {type}", at)
        self.mark("(")
        data = self.data(type)
        self.mark(")")
        return data.item() if isinstance(data, np.ndarray) else data

    def data(self, type: Type) -> ConstData:
        at = self.start
        if type.dtype == "string":
            if type.shape:
                self.fail(f"expected a single string, got {type}", at)
            return self.string()
        element = self.element_of(type.dtype)
        if type.shape:
            self.mark("[")
            items = list(self.listed("]", element))
        else:
            items = [element()]
        if len(items) != type.size:
            self.fail(f"expected {type.size} elements for {type}, got {len(items)}", at)
        return self.array(type, items)

    def array(self, type: Type, items: list[bool | int | float]) -> Array:
        array = _rounded(items, type.dtype).reshape(type.shape)
        array.flags.writeable = False
        return array

    def string(self) -> str:
        at = self.start
        body = self.take("string", "a string in quotes")[1:-1]
        for escape in re.findall(r"\\.", body):
            if escape not in UNESCAPED:
                self.fail(f"expected one of the escapes {' '.join(UNESCAPED)}, got {escape}", at)
        return re.sub(r"\\.", lambda m: UNESCAPED[m.group()], body)

    def element_of(self, dtype: str) -> Callable[[], bool | int | float]:
        if dtype == "bool":
            return self.boolean
        if dtype in FLOAT_DTYPES:
            return lambda: self.real(dtype)
        bounds = np.iinfo(NUMPY_DTYPES[dtype])
        low, high = int(bounds.min), int(bounds.max) + 1
        return lambda: self.integer(self.start, self.take("number", "an integer"), low, high)

    def boolean(self) -> bool:
        if not (self.at("true") or self.at("false")):
            self.expected("true or false")
        return self.name() == "true"

    def integer(self, at: int, token: str, low: int, high: int) -> int:
        if not INTEGER.fullmatch(token) or len(token) > MAX_DIGITS or not low <= int(token) < high:
            self.fail(f"expected an integer from {low} to {high - 1}, got {token[:MAX_DIGITS]!r}", at)
        return int(token)

    def real(self, dtype: str) -> float:
        at, token = self.start, self.token
        if self.at("inf") or self.at("nan") or self.at("-inf"):
            self.advance()
            return float(token)
        self.take("number", "a number")
        read = float.fromhex if HEX_FLOAT.match(token) else float
        try:
            value = read(token) if len(token) <= MAX_DIGITS else np.inf
        except (OverflowError, ValueError):
            value = np.inf
        if not np.isfinite(as_doubles(_rounded([value], dtype))).all():
            self.fail(f"expected a number that {dtype} holds, got {token[:MAX_DIGITS]!r}", at)
        return value


def _rounded(values: list[bool | int | float], dtype: str) -> Array:
    """`values` as an array, each rounded once, to nearest even."""
    with np.errstate(all="ignore"):
        if dtype != "bf16":
            return np.array(values, NUMPY_DTYPES[dtype])
        # ml_dtypes rounds to float32 first. That rounding must not hide on which side of a tie a value is: to odd.
        doubles = np.array(values, np.float64)
        singles = doubles.astype(np.float32)
        inside = np.where(np.abs(singles) > np.abs(doubles), np.nextafter(singles, np.float32(0)), singles)
        odd = inside.view(np.uint32) | (singles != doubles) & np.isfinite(doubles)
        return odd.astype(np.uint32).view(np.float32).astype(NUMPY_DTYPES[dtype])
