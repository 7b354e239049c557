"""Vector operations on sixteen rows at once, which Numba does not find by itself.

Each is an intrinsic: a function of compiled code for which we write the LLVM instructions.  They work on
vectors of LANES integers, for which LLVM takes the registers that the CPU has.  No index is checked.
"""

# An intrinsic is made of two functions.  The outer one gets Numba's types of the arguments, and returns the
# signature and the inner one.  That writes the instructions, with `arguments` as LLVM values.

from typing import TYPE_CHECKING, Any, cast

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

LANES = 16
"""Rows of a group."""

_INDEX = ir.IntType(32)


def _vector(bits: int) -> Any:
    """Return the type of a vector of LANES integers."""
    return ir.VectorType(ir.IntType(bits), LANES)


def _load(context: Any, builder: Any, array: Any, value: Any, start: Any) -> Any:
    """Return LANES elements of an array from `start` on, and a pointer to them."""
    data = context.make_array(array)(context, builder, value).data
    pointer = builder.bitcast(builder.gep(data, [start]), _vector(array.dtype.bitwidth).as_pointer())
    # An alignment of 1 allows any address: LLVM would take that of the whole vector for granted.
    return builder.load(pointer, align=1), pointer


def _broadcast(builder: Any, value: Any) -> Any:
    """Return a vector of LANES times the same integer."""
    vector = ir.VectorType(value.type, LANES)
    single = builder.insert_element(ir.Constant(vector, ir.Undefined), value, _INDEX(0))
    return builder.shuffle_vector(single, single, ir.Constant(ir.VectorType(_INDEX, LANES), [0] * LANES))


def _call(builder: Any, name: str, returned: Any, *arguments: Any) -> Any:
    """Call a function of LLVM by name; declare it where the module does not have it yet."""
    function = builder.module.globals.get(name)
    if function is None:
        signature = ir.FunctionType(returned, [argument.type for argument in arguments])
        function = ir.Function(builder.module, signature, name)
    return builder.call(function, arguments)


def _products(builder: Any, steps: Any, weight: Any) -> Any:
    """Return the 16-bit numbers ``(steps * weight) >> 8``."""
    # They are the high halves of ``(steps << 8) * weight``.  Written as a multiplication in fixed point, this
    # stays in 16 bits, as one instruction of most CPUs (x86: pmulhuw).  Written as a plain product, LLVM
    # widened everything to 32 bits, and the search took a quarter longer.
    shifted = builder.shl(builder.zext(steps, _vector(16)), ir.Constant(_vector(16), [8] * LANES))
    bits = ir.Constant(_INDEX, 16)
    weights = _broadcast(builder, weight)
    return _call(builder, f"llvm.umul.fix.v{LANES}i16", shifted.type, shifted, weights, bits)


def _saturating_add(builder: Any, a: Any, b: Any) -> Any:
    """Return the sums of 16-bit numbers, the largest 16-bit number where they overflow."""
    # A sum that wrapped around would look small, and its row be lost; one that saturates is finished.
    return _call(builder, f"llvm.uadd.sat.v{LANES}i16", a.type, a, b)


def _add_lanes(_typing: Any, sums: Any, at: Any, lanes: Any, start: Any, weight: Any) -> Any:
    """Generate the code of `add_lanes`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        old, pointer = _load(context, builder, signature.args[0], arguments[0], arguments[1])
        steps, _ = _load(context, builder, signature.args[2], arguments[2], arguments[3])
        products = _products(builder, steps, arguments[4])
        builder.store(_saturating_add(builder, old, products), pointer, align=1)
        return context.get_dummy_value()

    return types.void(sums, at, lanes, start, weight), generate


def _find_reaching(_typing: Any, sums: Any, bounds: Any, at: Any, weight: Any, least: Any) -> Any:
    """Generate the code of `find_reaching`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total, _ = _load(context, builder, signature.args[0], arguments[0], arguments[2])
        steps, _ = _load(context, builder, signature.args[1], arguments[1], arguments[2])
        total = _saturating_add(builder, total, _products(builder, steps, arguments[3]))
        return _at_least(builder, total, _broadcast(builder, arguments[4]))

    return types.uint64(sums, bounds, at, weight, least), generate


def _find_reaching_both(
    _typing: Any, sums: Any, more: Any, bounds: Any, at: Any, weight: Any, least: Any
) -> Any:
    """Generate the code of `find_reaching_both`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide, _ = _load(context, builder, signature.args[0], arguments[0], arguments[3])
        total, _ = _load(context, builder, signature.args[1], arguments[1], arguments[3])
        steps, _ = _load(context, builder, signature.args[2], arguments[2], arguments[3])
        total = _saturating_add(builder, total, _products(builder, steps, arguments[4]))
        total = builder.add(wide, builder.zext(total, _vector(32)))
        return _at_least(builder, total, builder.zext(_broadcast(builder, arguments[5]), _vector(32)))

    return types.uint64(sums, more, bounds, at, weight, least), generate


def _at_least(builder: Any, totals: Any, limits: Any) -> Any:
    """Return 64 bits; bit l is set where total l is at least its limit."""
    reached = builder.icmp_unsigned(">=", totals, limits)
    return builder.zext(builder.bitcast(reached, ir.IntType(LANES)), ir.IntType(64))


def _prefetch(_typing: Any, array: Any, at: Any) -> Any:
    """Generate the code of `prefetch`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        pointer = builder.bitcast(builder.gep(data, [arguments[1]]), ir.IntType(8).as_pointer())
        # To be read, to be kept in all caches, and data rather than instructions.
        read, keep, as_data = (ir.Constant(_INDEX, flag) for flag in (0, 3, 1))
        _call(builder, "llvm.prefetch.p0", ir.VoidType(), pointer, read, keep, as_data)
        return context.get_dummy_value()

    return types.void(array, at), generate


def _lowest_bit(_typing: Any, bits: Any) -> Any:
    """Generate the code of `lowest_bit`."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        # The flag says that 0 does not occur, so that no instruction is spent on it.
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return bits(bits), generate


def _count_bits(_typing: Any, bits: Any) -> Any:
    """Generate the code of `count_bits`."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return bits(bits), generate


add_lanes = cast("Callable[..., None]", intrinsic(_add_lanes))
"""Add uint8 ``lanes[start : start + 16] * weight >> 8`` to uint16 ``sums[at : at + 16]``, saturating."""

find_reaching = cast("Callable[..., np.uint64]", intrinsic(_find_reaching))
"""Return bits; bit l is set where ``sums[at + l] + (bounds[at + l] * weight >> 8) >= least``."""
# Sums, weight and least are uint16, bounds uint8.

find_reaching_both = cast("Callable[..., np.uint64]", intrinsic(_find_reaching_both))
"""Return bits as `find_reaching`, of uint32 ``sums[at + l] +`` uint16 ``more[at + l]``."""

prefetch = cast("Callable[..., None]", intrinsic(_prefetch))
"""Bring the element at `at` of an array towards the processor; `at` need not be inside."""

lowest_bit = cast("Callable[[np.uint64], np.uint64]", intrinsic(_lowest_bit))
"""Return the number of the lowest bit that is set, of bits that are not all 0."""

count_bits = cast("Callable[[np.uint64], np.uint64]", intrinsic(_count_bits))
"""Return how many bits are set."""
