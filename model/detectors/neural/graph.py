"""A TFLite graph run by LiteRT: one matrix in, one matrix out, dense layers and unrolled LSTMs
between them.

TensorFlow is not imported.
"""

from __future__ import annotations

from typing import Any

import numpy as np

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
        """Raises ConfigError when `content` is no such graph from so many inputs to so many
        outputs.
        """
        from ai_edge_litert.interpreter import (
            Interpreter,
        )  # 70 ms that profiles without neural models need not pay

        self._block, self._outputs = np.zeros((ROWS, inputs), np.float32), outputs
        try:
            self._graph = Interpreter(model_content=content, num_threads=1)
            self._check(name, inputs, outputs)
            self._graph.allocate_tensors()
            self._in, self._out = (
                side[0]["index"]
                for side in (self._graph.get_input_details(), self._graph.get_output_details())
            )
        except (ValueError, RuntimeError) as error:
            raise ConfigError(
                f"{name} is not a graph that LiteRT can run ({error}): fetch the bundle again"
            ) from error

    def _check(self, name: str, inputs: int, outputs: int) -> None:
        sides = self._graph.get_input_details(), self._graph.get_output_details()
        shapes = [[tuple(part["shape"]) for part in side] for side in sides]
        if shapes != [[(ROWS, inputs)], [(ROWS, outputs)]]:
            raise ConfigError(
                f"{name} maps {shapes[0]} to {shapes[1]}, not {inputs} numbers to {outputs}: "
                "fetch the bundle again"
            )
        tensors: list[dict[str, Any]] = self._graph.get_tensor_details()
        if sum(int(np.prod(part["shape"], dtype=np.float64)) for part in tensors) > _LARGEST:
            raise ConfigError(
                f"{name} declares more than {_LARGEST:,} numbers: fetch the bundle again"
            )
        steps: list[dict[str, Any]] = self._graph._get_ops_details()  # there is no public way
        if others := {step["op_name"] for step in steps} - _OPS:
            raise ConfigError(
                f"{name} holds {', '.join(sorted(others))}; only dense layers and LSTMs are served"
            )
        computed = {int(at) for step in steps for at in step["outputs"]} | {
            int(part["index"]) for part in sides[0]
        }
        weights = [
            self._graph.get_tensor(part["index"])
            for part in tensors
            if part["index"] not in computed
        ]
        if not all(
            part.dtype == np.float32 and (np.abs(part) <= _HEAVIEST).all() for part in weights
        ):
            raise ConfigError(
                f"{name} holds weights that are no numbers, or far too large: fetch the bundle "
                "again"
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
