"""Products of rows in small integers, a tile of rows and candidates at a time, and what they need."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba import extending
from numba.core import cgutils, types

from novelty_dask.kernels.vectors.instructions import (
    F32,
    GROUP,
    I8,
    I32,
    I64,
    VectorCode,
    declare,
    find_instructions,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

ROWS = 6
"""Rows of a tile: with all their sums, and what is read, the registers are full."""
STEP = 2 * GROUP
"""Columns that are multiplied in one step; rows are padded to whole steps with zeros."""
LINE = 64
"""Bytes of a line of the cache."""


def intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function for compiled code, whose own code another function writes."""
    # Its first argument, the context of types, is not passed by callers.
    made: Any = extending.intrinsic
    return made(function)  # type: ignore[no-any-return]


class _Tile:
    """Writer of the code of a tile, in three parts: the sums, the values, and what is over the limits.

    Parameters
    ----------
    code : VectorCode
    kinds, values : tuple of tuple
        Types of the arguments of `multiply_tile`, and the arguments.
    context : numba.core.base.BaseContext
    """

    def __init__(self, code: VectorCode, kinds: Any, values: Any, context: Any) -> None:
        self.code = code
        self.build = code.builder
        self.context = context
        self.arrays = [*zip(kinds[0], values[0], strict=True)]
        self.parts = [*zip(kinds[1], values[1], strict=True)]
        self.byte, self.row, self.panel_byte, self.candidate, self.n_groups = values[2]
        self.registers = range(code.instructions.registers)

    def pointer(self, array: Any, start: Any, element: Any) -> Any:
        """Return a pointer to a place in an array."""
        kind, value = array
        data = self.context.make_array(kind)(self.context, self.build, value).data
        return self.build.bitcast(self.build.gep(data, [start]), element.as_pointer())

    def add_up(self) -> list[list[Any]]:
        """Write the loop over columns; return the sums, a list for each row."""
        build, code, n_registers = self.build, self.code, len(self.registers)
        row_bytes = build.mul(self.n_groups, I64(GROUP))
        rows = [
            self.pointer(self.arrays[0], build.add(self.byte, build.mul(row_bytes, I64(row))), I32)
            for row in range(ROWS)
        ]
        panel = self.pointer(self.arrays[4], self.panel_byte, code.sums)
        begin = self.pointer(self.parts[0], self.candidate, code.sums)
        starts = [code.load(begin, I64(register)) for register in self.registers] * ROWS
        entry, loop, done = build.block, build.append_basic_block("loop"), build.append_basic_block("done")
        build.branch(loop)
        build.position_at_end(loop)
        group = build.phi(I64)
        group.add_incoming(I64(0), entry)
        totals = [build.phi(code.sums) for _ in starts]
        place = build.mul(group, I64(n_registers))
        columns = [
            [code.load(panel, build.add(place, I64(half * n_registers + register))) for half in range(2)]
            for register in self.registers
        ]
        sums = []
        for row, where in enumerate(rows):
            both = [code.load_spread(where, build.add(group, I64(half))) for half in range(2)]
            for register in self.registers:
                total = totals[row * n_registers + register]
                sums.append(code.add_products(total, both, columns[register]))
        following = build.add(group, I64(2))
        group.add_incoming(following, loop)
        for total, start, value in zip(totals, starts, sums, strict=True):
            total.add_incoming(start, entry)
            total.add_incoming(value, loop)
        build.cbranch(build.icmp_signed("<", following, self.n_groups), loop, done)
        build.position_at_end(done)
        return [sums[row * n_registers : (row + 1) * n_registers] for row in range(ROWS)]

    def compare(self, sums: list[list[Any]]) -> list[Any]:
        """Write the comparison of values with limits; return a number for each row, of bits."""
        build, code = self.build, self.code
        of_rows = [self.pointer(array, self.row, F32) for array in self.arrays[1:4]]
        of_panel = [self.pointer(part, self.candidate, code.floats) for part in self.parts[1:]]
        masks = []
        for row, totals in enumerate(sums):
            scale, start, limit = (code.load_spread(where, I64(row)) for where in of_rows)
            mask = I64(0)
            for register, total in enumerate(totals):
                own_scale, own_start, own_limit = (code.load(where, I64(register)) for where in of_panel)
                value = build.fmul(build.sitofp(total, code.floats), own_scale)
                # In one instruction where there is one.
                value = build.fmul(value, scale, flags=["contract"])
                value = build.fadd(value, own_start, flags=["contract"])
                least = build.select(build.fcmp_ordered("<", own_limit, limit), own_limit, limit)
                over = code.bits(build.fcmp_ordered(">", build.fadd(value, start), least))
                mask = build.or_(mask, build.shl(over, I64(register * code.instructions.lanes)))
            masks.append(mask)
        return masks

    def store(self, masks: list[Any]) -> Any:
        """Write that the masks are stored if there is a bit; return whether there is."""
        build = self.build
        found = build.icmp_unsigned("!=", reduce(build.or_, masks), I64(0))
        with build.if_then(found, likely=False):
            out = self.pointer(self.arrays[5], I64(0), I64)
            for row, mask in enumerate(masks):
                build.store(mask, build.gep(out, [I64(row)]))
        return found


@intrinsic
def multiply_tile(_typing: Any, arrays: Any, parts: Any, places: Any) -> Any:
    """Multiply `ROWS` rows with a panel; return whether a value is over a limit, and say which.

    The value of a row and a candidate is  product * scale of the candidate * scale of the row + start of the
    candidate + start of the row,  in float32.  The lower one of their limits counts.

    Parameters
    ----------
    arrays : (uint8, float32, float32, float32, int8, int64)
        Arrays of the rows' bytes, scales, starts and limits, of the panels' bytes, and one that gets a number
        for each row, if there is a bit to set: one for each candidate of the panel, the first in the lowest.
    parts : (int32, float32, float32, float32)
        Arrays of where the sums of candidates start, of their scales, starts and limits.
    places : (int64, int64, int64, int64, int64)
        First byte and first row, first byte and first candidate of the panel, and the groups of four columns
        of a row, an even number.
    """
    instructions = find_instructions()
    assert instructions is not None

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        unpack: Any = cgutils.unpack_tuple
        values = [unpack(builder, argument) for argument in arguments]
        tile = _Tile(VectorCode(builder, instructions), (arrays, parts), values, context)
        return tile.store(tile.compare(tile.add_up()))

    return types.boolean(arrays, parts, places), generate


@intrinsic
def lowest_bit(_typing: Any, _number: Any) -> Any:
    """Return the place of the lowest bit of an int64 that is not 0."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.IntType(1)(1))

    return types.int64(types.int64), generate


@intrinsic
def fetch(_typing: Any, vectors: Any, _first: Any, _size: Any) -> Any:
    """Ask for values of an array of float32, some from a place on, to be in the cache soon."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        begin = builder.bitcast(builder.gep(data, [arguments[1]]), I8.as_pointer())
        n_bytes = builder.mul(arguments[2], I64(4))
        with cgutils.for_range_slice(builder, I64(0), n_bytes, I64(LINE)) as (place, _):
            # To be read, and used soon, as data.
            asked = [builder.gep(begin, [place]), I32(0), I32(3), I32(1)]
            builder.call(declare(builder, "llvm.prefetch.p0i8", ir.VoidType(), asked), asked)
        return context.get_dummy_value()

    return types.void(vectors, types.int64, types.int64), generate


def aligned(size: int, dtype: Any) -> NDArray[Any]:
    """Return zeros that begin with a line of the cache, so that a register is read from one line."""
    n_bytes = size * np.dtype(dtype).itemsize
    buffer = np.zeros(n_bytes + LINE, np.uint8)
    start = -buffer.ctypes.data % LINE
    return buffer[start : start + n_bytes].view(dtype)
