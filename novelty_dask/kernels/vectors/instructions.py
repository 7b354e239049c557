"""The vector instructions of the processor that multiply bytes, as LLVM names them.

One factor is a row of positive bytes, the other one a candidate, of bytes with a sign.  Integers are so small
that all sums are exact, whatever adds them up: those of `MOST_COLUMNS` products in 32 bits, and those of four
in 16 bits where an instruction makes them.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from llvmlite import ir
from numba.core.registry import cpu_target

MOST_COLUMNS = 2**15
"""Columns whose products add up to less than 2**31."""
GROUP = 4
"""Columns whose bytes lie together, as the instructions multiply four bytes with four."""

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F32 = ir.FloatType()


class Instructions(NamedTuple):
    """Vector instructions of a processor.

    Parameters
    ----------
    name : str
        Feature of the processor.
    lanes : int
        32-bit sums of a register.
    registers : int
        Registers beside each other in a tile.
    largest : int
        Largest integer of a row.
    """

    name: str
    lanes: int
    registers: int
    largest: int

    @property
    def columns(self) -> int:
        """Candidates of a panel."""
        return self.lanes * self.registers


# AVX2 adds two products of 127 with 63, and then two of these sums, in 16 bits.
VNNI, AVX2 = Instructions("avx512vnni", 16, 4, 127), Instructions("avx2", 8, 2, 63)


@cache
def find_instructions() -> Instructions | None:
    """Return the best instructions that this processor has; None if it has none of them."""
    # Of the processor for which Numba compiles, which users may choose: others would be instructions that it
    # can't translate.
    codegen: Any = cpu_target.target_context.codegen()
    _, _, features = codegen.magic_tuple()
    return next((known for known in (VNNI, AVX2) if f"+{known.name}" in features.split(",")), None)


class VectorCode:
    """Code on registers of 32-bit numbers.

    Parameters
    ----------
    builder : llvmlite.ir.IRBuilder
    instructions : Instructions
    """

    def __init__(self, builder: Any, instructions: Instructions) -> None:
        self.builder = builder
        self.instructions = instructions
        lanes = instructions.lanes
        self.sums, self.floats = ir.VectorType(I32, lanes), ir.VectorType(F32, lanes)
        self._pairs, self._bytes = ir.VectorType(I16, 2 * lanes), ir.VectorType(I8, 4 * lanes)

    def load(self, where: Any, index: Any) -> Any:
        """Return what lies at a place behind a pointer, at whatever address."""
        return self.builder.load(self.builder.gep(where, [index]), align=1)

    def load_spread(self, where: Any, index: Any) -> Any:
        """Return a register with the same number in all lanes."""
        number, lanes = self.load(where, index), self.instructions.lanes
        empty = ir.Constant(ir.VectorType(number.type, lanes), ir.Undefined)
        first = self.builder.insert_element(empty, number, I32(0))
        return self.builder.shuffle_vector(first, first, ir.Constant(self.sums, [0] * lanes))

    def add_products(self, total: Any, row: list[Any], candidates: list[Any]) -> Any:
        """Return sums to which the products of two groups of columns are added."""
        if self.instructions is VNNI:
            for x, y in zip(row, candidates, strict=True):
                total = self._call("llvm.x86.avx512.vpdpbusd.512", self.sums, [total, x, y])
            return total
        first, second = (
            self._call(
                "llvm.x86.avx2.pmadd.ub.sw",
                self._pairs,
                [self.builder.bitcast(factor, self._bytes) for factor in factors],
            )
            for factors in zip(row, candidates, strict=True)
        )
        ones = ir.Constant(self._pairs, [1] * self._pairs.count)
        four = self.builder.add(first, second)
        return self.builder.add(total, self._call("llvm.x86.avx2.pmadd.wd", self.sums, [four, ones]))

    def bits(self, is_true: Any) -> Any:
        """Return a 64-bit number that has the truth of each lane in its lowest bits."""
        return self.builder.zext(self.builder.bitcast(is_true, ir.IntType(self.instructions.lanes)), I64)

    def _call(self, name: str, result: Any, arguments: list[Any]) -> Any:
        """Return the result of an instruction."""
        return self.builder.call(declare(self.builder, name, result, arguments), arguments)


def declare(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Return an instruction of LLVM, as a function of the module."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
