"""Eight float32 at once, as one value inside a kernel: ``load``, ``spread``, ``total``, ``store`` and + - * abs.

Loops over windows of eight pixels are too short for the compiler: left to itself it takes them apart pixel by pixel and
needs six times as long. Nothing is checked: whoever loads or stores sees to it that all eight values are there.

LLVM makes of a vector what the processor has: one instruction with AVX, two with SSE or NEON.
"""

from __future__ import annotations

import operator
from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]  # numba brings it
from numba import extending, types
from numba.extending import models, overload, register_model

SIDE = 8


def intrinsic(function: Any) -> Any:
    """Numba's, whose annotation keeps the argument that it fills in itself."""
    return extending.intrinsic(function)


_FLOAT, _VECTOR = ir.FloatType(), ir.VectorType(ir.FloatType(), SIDE)


class _Lanes(types.Type):
    def __init__(self) -> None:
        super().__init__(name=f"float32x{SIDE}")


LANES = _Lanes()


@register_model(_Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)  # type: ignore[no-untyped-call]


@intrinsic
def load(_: Any, values: Any, start: Any) -> Any:
    """The eight values from ``start`` on, an index into the contiguous array ``values`` as if it had one dimension."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_place(context, builder, signature, args), align=4)

    return LANES(values, types.intp), generate


@intrinsic
def store(_: Any, values: Any, start: Any, lanes: Any) -> Any:
    """``load``'s contrary."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _place(context, builder, signature, args), align=4)
        return context.get_dummy_value()

    return types.void(values, types.intp, LANES), generate


@intrinsic
def spread(_: Any, value: Any) -> Any:
    """One value eight times."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first = ir.Constant(ir.IntType(32), 0)
        one = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), args[0], first)
        return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), SIDE), [0] * SIDE))

    return LANES(types.float32), generate


@intrinsic
def total(_: Any, lanes: Any) -> Any:
    """The sum of the eight."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = ir.FunctionType(_FLOAT, [_FLOAT, _VECTOR])
        callee = _declared(builder, function, f"llvm.vector.reduce.fadd.v{SIDE}f32")
        return builder.call(callee, [ir.Constant(_FLOAT, 0.0), args[0]], fastmath=("fast",))

    return types.float32(LANES), generate


@intrinsic
def _absolute(_: Any, lanes: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = ir.FunctionType(_VECTOR, [_VECTOR])
        return builder.call(_declared(builder, function, f"llvm.fabs.v{SIDE}f32"), args)

    return LANES(LANES), generate


@overload(abs)
def _abs(lanes):  # type: ignore[no-untyped-def]  # numba wants the same signature twice
    return (lambda lanes: _absolute(lanes)) if lanes is LANES else None


def _declared(builder: Any, function: Any, name: str) -> Any:
    known = builder.module.globals.get(name)
    return known or ir.Function(builder.module, function, name)


def _place(context: Any, builder: Any, signature: Any, args: Any) -> Any:
    array = context.make_array(signature.args[0])(context, builder, args[0])
    return builder.bitcast(builder.gep(array.data, [args[1]]), _VECTOR.as_pointer())


def _define(symbol: Any, instruction: str) -> None:
    @intrinsic
    def apply(_: Any, one: Any, other: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return getattr(builder, instruction)(*args, flags=("fast",))

        return LANES(LANES, LANES), generate

    @overload(symbol)
    def _(one, other):  # type: ignore[no-untyped-def]
        return (lambda one, other: apply(one, other)) if one is LANES and other is LANES else None


for _symbol, _instruction in (
    (operator.add, "fadd"),
    (operator.iadd, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
):
    _define(_symbol, _instruction)
