"""Reads pickled object arrays of NumPy arrays without Python's unpickler, so that nothing can be run or asked for.

SketchRNN files are pickles. An unpickler, even one that finds only NumPy's names, calls what it finds with any
arguments and makes room for any memo index (a file of ten bytes takes 32 GB). This reader knows the opcodes that NumPy
writes, in the protocols 2 (Python 2) to 5, and three names; every length is checked against the bytes that are there.
Opcodes: https://github.com/python/cpython/blob/3.11/Lib/pickletools.py.
"""

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

import numpy as np

_STOP = ord(".")
_OPCODES_PER_ARRAY = 64  # NumPy writes about 25
_NAME_BYTES = 256


class _Name(Enum):
    RECONSTRUCT = auto()
    NDARRAY = auto()
    DTYPE = auto()


_MODULES = (b"numpy", b"numpy.core.multiarray", b"numpy._core.multiarray")
_NAMES = {b"_reconstruct": _Name.RECONSTRUCT, b"ndarray": _Name.NDARRAY, b"dtype": _Name.DTYPE}
_NUMBERS = {kind + size for kind in (b"i", b"u", b"f") for size in (b"1", b"2", b"4", b"8")} - {b"f1"}


class _Type:
    def __init__(self, name: bytes) -> None:
        self.name, self.order = name, b"|"


class _Array:
    state: tuple[Any, ...] | None = None


def read_arrays(data: bytes, count: int) -> list[np.ndarray]:
    """Reads the pickle of an object array of `count` arrays of numbers; they share the memory of `data`.

    Raises:
        ValueError: `data` is anything else; says what was found.
    """
    try:
        outer = _Reader(data).read(1024 + _OPCODES_PER_ARRAY * count)
    except IndexError:
        raise ValueError("the pickle is cut off or damaged") from None
    shape, kind, _, items = _state(outer)
    if kind.name[:1] != b"O" or not isinstance(items, list):
        raise ValueError("the pickle holds no object array")
    if shape != (count,) or len(items) != count:
        raise ValueError(f"the pickle holds {len(items)} arrays of a shape of {shape}; the header says {count}")
    return [_array(item) for item in items]


def _array(item: object) -> np.ndarray:
    shape, kind, by_column, data = _state(item)
    if kind.name not in _NUMBERS or not isinstance(data, bytes):
        raise ValueError(f"an array of type {kind.name.decode('latin1')[:20]!r}; expected integers or floats")
    count = 1
    for side in shape:
        if side < 0:
            raise ValueError(f"an array of shape {shape}; expected sizes of 0 and more")
        count *= side
    if count * int(kind.name[1:]) != len(data):
        raise ValueError(f"an array of shape {shape} and type {kind.name.decode()} in {len(data)} bytes")
    order = ">" if kind.order == b">" else "<"
    flat = np.frombuffer(data, np.dtype(order + kind.name.decode()))
    return flat.reshape(shape, order="F" if by_column else "C")


def _state(item: object) -> tuple[tuple[int, ...], _Type, bool, Any]:
    """Shape, type, order and data, as ndarray.__reduce__ writes them."""
    if isinstance(item, _Array) and item.state is not None and len(item.state) == 5:
        _, shape, kind, by_column, data = item.state
        if isinstance(shape, tuple) and isinstance(kind, _Type) and all(type(side) is int for side in shape[:5]):
            return shape[:5], kind, bool(by_column), data
    raise ValueError("the pickle holds something else than an array")


class _Reader:
    """A stack machine, as every reader of pickles, for those opcodes only."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        push, number = self._stack.append, self._number
        self._opcodes: dict[int, Callable[[], object]] = {
            0x80: lambda: self._bytes(1),  # PROTO
            0x95: lambda: self._bytes(8),  # FRAME
            ord("c"): lambda: push(self._name(self._line(), self._line())),
            0x93: self._stack_global,
            ord("q"): lambda: self._put(number(1)),
            ord("r"): lambda: self._put(number(4)),
            0x94: lambda: self._put(len(self._memo)),
            ord("h"): lambda: self._get(number(1)),
            ord("j"): lambda: self._get(number(4)),
            ord("("): lambda: self._marks.append(len(self._stack)),
            ord("t"): lambda: push(tuple(self._since_mark())),
            ord(")"): lambda: push(()),
            0x85: lambda: push((self._pop(),)),
            0x86: lambda: push((self._pop(), self._pop())[::-1]),
            0x87: lambda: push((self._pop(), self._pop(), self._pop())[::-1]),
            ord("N"): lambda: push(None),
            0x88: lambda: push(True),
            0x89: lambda: push(False),
            ord("J"): lambda: push(int.from_bytes(self._bytes(4), "little", signed=True)),
            ord("K"): lambda: push(number(1)),
            ord("M"): lambda: push(number(2)),
            0x8A: lambda: push(int.from_bytes(self._bytes(number(1)), "little", signed=True)),
            ord("]"): lambda: push([]),
            ord("a"): lambda: self._extend([self._pop()]),
            ord("e"): lambda: self._extend(self._since_mark()),
            ord("R"): self._reduce,
            ord("b"): self._build,
            # text and bytes of Python 2 and 3 with lengths of 1, 4 and 8 bytes
            **dict.fromkeys((ord("U"), ord("C"), 0x8C), lambda: push(self._bytes(number(1)))),
            **dict.fromkeys((ord("T"), ord("B"), ord("X")), lambda: push(self._bytes(number(4)))),
            **dict.fromkeys((0x8E, 0x8D), lambda: push(self._bytes(number(8)))),
        }

    def read(self, most_opcodes: int) -> object:
        """What the pickle holds."""
        data, opcodes = self._data, self._opcodes
        for _ in range(most_opcodes):
            opcode = data[self._at]
            self._at += 1
            if opcode == _STOP:
                return self._pop()
            if opcode not in opcodes:
                raise ValueError(f"the pickle has opcode {opcode:#04x}, which arrays of numbers do not need")
            opcodes[opcode]()
        raise ValueError(f"the pickle has more than {most_opcodes} opcodes, which its arrays do not need")

    def _bytes(self, count: int) -> bytes:
        start, self._at = self._at, self._at + count
        if self._at > len(self._data):
            raise IndexError
        return self._data[start : self._at]

    def _number(self, size: int) -> int:
        return int.from_bytes(self._bytes(size), "little")

    def _line(self) -> bytes:
        start = self._at
        end = self._data.find(b"\n", start, start + _NAME_BYTES)
        if end < 0:
            raise IndexError
        self._at = end + 1
        return self._data[start:end]

    def _name(self, module: object, name: object) -> _Name:
        if module in _MODULES and isinstance(name, bytes) and name in _NAMES:
            return _NAMES[name]
        raise ValueError(f"the pickle asks for {_text(module)}.{_text(name)}, which does not belong in it")

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._stack.append(self._name(module, name))

    def _pop(self) -> Any:
        if self._marks and self._marks[-1] == len(self._stack):
            raise IndexError
        return self._stack.pop()

    def _since_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _put(self, key: int) -> None:
        self._memo[key] = self._stack[-1]

    def _get(self, key: int) -> None:
        if key not in self._memo:
            raise IndexError
        self._stack.append(self._memo[key])

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list) or not all(isinstance(item, _Array) for item in items):
            raise ValueError("the pickle holds something else than arrays")
        self._stack[-1].extend(items)

    def _reduce(self) -> None:
        arguments, function = self._pop(), self._pop()
        if function is _Name.RECONSTRUCT and arguments == (_Name.NDARRAY, (0,), b"b"):
            self._stack.append(_Array())
        elif function is _Name.DTYPE and isinstance(arguments, tuple) and isinstance(arguments[0], bytes):
            self._stack.append(_Type(arguments[0]))
        else:
            raise ValueError("the pickle calls something with arguments that arrays do not need")

    def _build(self) -> None:
        state, target = self._pop(), self._stack[-1]
        if isinstance(target, _Array) and isinstance(state, tuple):
            target.state = state
        elif isinstance(target, _Type) and isinstance(state, tuple) and state[1] in (b"<", b">", b"|", b"="):
            target.order = state[1]
        else:
            raise ValueError("the pickle sets the state of something else than an array")


def _text(name: object) -> str:
    return ascii(name.decode("latin1"))[1:-1] if isinstance(name, bytes) else type(name).__name__
