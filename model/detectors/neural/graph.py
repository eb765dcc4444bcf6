"""A TFLite graph of dense layers and unrolled LSTMs, run by LiteRT without TensorFlow."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from tidegate.errors import ConfigError

ROWS = 64
"""Rows of every call: the same kernels compute a row alone and in any batch."""
_LARGEST = 4 * 1024 * 1024
"""Numbers of all tensors together: hundreds of times what our graphs hold."""
_HEAVIEST = 1e6
"""Weights beyond this are no result of training, and may overflow float32."""
_OPS = frozenset({"FULLY_CONNECTED", "TANH", "LOGISTIC", "MUL", "ADD"})


class Graph:
    """Runs f8[n, inputs] -> f8[n, outputs] in blocks of ROWS."""

    def __init__(self, name: str, content: bytes, inputs: int, outputs: int) -> None:
        """Raises ConfigError when `content` is not a graph with so many inputs and outputs."""
        # 70 ms that profiles without neural models need not pay
        from ai_edge_litert.interpreter import Interpreter

        self._block, self._outputs = np.zeros((ROWS, inputs), np.float32), outputs
        try:
            self._graph = Interpreter(model_content=content, num_threads=1)
            self._check(name, inputs, outputs)
            self._graph.allocate_tensors()
            self._in = self._graph.get_input_details()[0]["index"]
            self._out = self._graph.get_output_details()[0]["index"]
        except (ValueError, RuntimeError) as error:
            raise ConfigError(
                f"{name} is not a graph that LiteRT can run ({error}): fetch the bundle again"
            ) from error

    def _check(self, name: str, inputs: int, outputs: int) -> None:
        takes, gives = self._graph.get_input_details(), self._graph.get_output_details()
        shapes = [[tuple(each["shape"]) for each in tensors] for tensors in (takes, gives)]
        if shapes != [[(ROWS, inputs)], [(ROWS, outputs)]]:
            raise ConfigError(
                f"{name} maps {shapes[0]} to {shapes[1]}, not {inputs} numbers to {outputs}: "
                "fetch the bundle again"
            )
        tensors: list[dict[str, Any]] = self._graph.get_tensor_details()
        if sum(int(np.prod(each["shape"], dtype=np.float64)) for each in tensors) > _LARGEST:
            raise ConfigError(
                f"{name} declares more than {_LARGEST:,} numbers: fetch the bundle again"
            )
        steps: list[dict[str, Any]] = self._graph._get_ops_details()  # there is no public way
        if others := {step["op_name"] for step in steps} - _OPS:
            raise ConfigError(
                f"{name} holds {', '.join(sorted(others))}; only dense layers and LSTMs are served"
            )
        computed = {int(index) for step in steps for index in step["outputs"]}
        computed |= {int(each["index"]) for each in takes}
        indices = [each["index"] for each in tensors if each["index"] not in computed]
        if not all(map(_is_sane, map(self._graph.get_tensor, indices))):
            raise ConfigError(
                f"{name} holds weights that are no numbers, or far too large: "
                "fetch the bundle again"
            )

    def run(self, rows: Array) -> Array:
        """f8[n, outputs] of `rows` f8[n, inputs]."""
        out = np.empty((len(rows), self._outputs))
        for at in range(0, len(rows), ROWS):
            n = min(ROWS, len(rows) - at)
            self._block[:n] = rows[at : at + n]
            self._block[n:] = 0.0
            self._graph.set_tensor(self._in, self._block)
            self._graph.invoke()
            out[at : at + n] = self._graph.get_tensor(self._out)[:n]
        return out


def _is_sane(weights: NDArray[np.generic]) -> bool:
    return weights.dtype == np.float32 and bool((np.abs(weights) <= _HEAVIEST).all())
