"""Sixteen rows at once: the three vector operations that numba does not find by itself.

Each is a few lines of LLVM's vector types on integers, which LLVM turns into what the CPU has.  They read and
write without checking bounds.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    import numpy as np

LANES = 16
"""Rows of a group."""

_INDEX = ir.IntType(32)


def _vector(bits: int) -> Any:
    """LANES integers."""
    return ir.VectorType(ir.IntType(bits), LANES)


def _load(context: Any, builder: Any, array: Any, value: Any, start: Any) -> Any:
    """LANES elements of an array from `start` on, and where they lie."""
    data = context.make_array(array)(context, builder, value).data
    place = builder.bitcast(builder.gep(data, [start]), _vector(array.dtype.bitwidth).as_pointer())
    return builder.load(place, align=1), place


def _broadcast(builder: Any, value: Any) -> Any:
    """LANES times the same integer."""
    vector = ir.VectorType(value.type, LANES)
    single = builder.insert_element(ir.Constant(vector, ir.Undefined), value, _INDEX(0))
    return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES))


def _products(builder: Any, steps: Any, weight: Any) -> Any:
    """The 16-bit numbers (steps * weight) >> 8, as the high halves of (steps << 8) * weight."""
    zeros = ir.Constant(_vector(8), [0] * LANES)
    above_zeros = [n for lane in range(LANES) for n in (LANES, lane)]
    order = ir.Constant(ir.VectorType(_INDEX, 2 * LANES), above_zeros)
    shifted = builder.bitcast(builder.shuffle_vector(steps, zeros, order), _vector(16))
    product = builder.mul(
        builder.zext(shifted, _vector(32)), builder.zext(_broadcast(builder, weight), _vector(32))
    )
    return builder.trunc(builder.lshr(product, ir.Constant(_vector(32), [16] * LANES)), _vector(16))


def _saturating_add(builder: Any, a: Any, b: Any) -> Any:
    """The sums of 16-bit numbers, or the largest 16-bit number."""
    name = f"llvm.uadd.sat.v{LANES}i16"
    function = builder.module.globals.get(name)
    if function is None:
        function = ir.Function(builder.module, ir.FunctionType(a.type, [a.type, b.type]), name)
    return builder.call(function, [a, b])


def _add_lanes(_typing: Any, sums: Any, at: Any, lanes: Any, start: Any, weight: Any) -> Any:
    """Numba's view of `add_lanes`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        old, place = _load(context, builder, signature.args[0], arguments[0], arguments[1])
        steps, _ = _load(context, builder, signature.args[2], arguments[2], arguments[3])
        products = _products(builder, steps, arguments[4])
        builder.store(_saturating_add(builder, old, products), place, align=1)
        return context.get_dummy_value()

    return types.void(sums, at, lanes, start, weight), generate


def _reaching(_typing: Any, sums: Any, bounds: Any, at: Any, weight: Any, least: Any) -> Any:
    """Numba's view of `reaching`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        old, _ = _load(context, builder, signature.args[0], arguments[0], arguments[2])
        steps, _ = _load(context, builder, signature.args[1], arguments[1], arguments[2])
        wide = old if signature.args[0].dtype.bitwidth == 32 else builder.zext(old, _vector(32))
        total = builder.add(wide, builder.zext(_products(builder, steps, arguments[3]), _vector(32)))
        limit = builder.zext(_broadcast(builder, arguments[4]), _vector(32))
        reached = builder.icmp_unsigned(">=", total, limit)
        return builder.zext(builder.bitcast(reached, ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(sums, bounds, at, weight, least), generate


def _lowest_bit(_typing: Any, bits: Any) -> Any:
    """Numba's view of `lowest_bit`."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return bits(bits), generate


add_lanes = cast("Callable[..., None]", intrinsic(_add_lanes))
"""``sums[at : at + 16] += lanes[start : start + 16] * weight >> 8``, saturating; uint16, uint8, uint16."""

reaching = cast("Callable[..., np.uint64]", intrinsic(_reaching))
"""Bit l is set where ``sums[at + l] + (bounds[at + l] * weight >> 8) >= least``; uint16 or uint32, uint8."""

lowest_bit = cast("Callable[[np.uint64], np.uint64]", intrinsic(_lowest_bit))
"""Number of the lowest bit that is set, of bits that are not all 0."""
