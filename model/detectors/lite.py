"""A TFLite graph run by LiteRT: one matrix in, one matrix out, nothing but dense layers. TensorFlow is not imported."""

from __future__ import annotations

from typing import Any

import numpy as np

from model.detectors.base import Array
from tidegate.errors import ConfigError

ROWS = 64
"""Rows of every call: the same kernels compute a row alone and in any batch."""
_LARGEST = 4 * 1024 * 1024
"""Numbers of all tensors together: hundreds of times what our graphs hold."""
_OPS = frozenset({"FULLY_CONNECTED", "TANH", "DELEGATE"})


class Graph:
    """Runs f8[n, inputs] -> f8[n, outputs] in blocks of ROWS."""

    def __init__(self, name: str, content: bytes, inputs: int, outputs: int) -> None:
        """Raises ConfigError when `content` is no graph of dense layers from so many inputs to so many outputs."""
        from ai_edge_litert.interpreter import Interpreter  # 70 ms that profiles without neural models need not pay

        try:
            self._graph = Interpreter(model_content=content, num_threads=1)
            self._check(name, inputs, outputs)
            self._graph.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"{name} is not a graph that LiteRT can run ({error}): fetch the bundle again") from error
        self._in, self._out = (side[0]["index"] for side in
                               (self._graph.get_input_details(), self._graph.get_output_details()))
        self._block = np.zeros((ROWS, inputs), np.float32)
        self._outputs = outputs
        if not np.isfinite(self.run(np.zeros((1, inputs)))).all():
            raise ConfigError(f"{name} holds weights that are no numbers: fetch the bundle again")

    def _check(self, name: str, inputs: int, outputs: int) -> None:
        shapes = [[tuple(part["shape"]) for part in side] for side in
                  (self._graph.get_input_details(), self._graph.get_output_details())]
        if shapes != [[(ROWS, inputs)], [(ROWS, outputs)]]:
            raise ConfigError(f"{name} maps {shapes[0]} to {shapes[1]}, not {inputs} numbers to {outputs}: "
                              "fetch the bundle again")
        details: list[dict[str, Any]] = self._graph.get_tensor_details()
        if sum(int(np.prod(part["shape"], dtype=np.float64)) for part in details) > _LARGEST:
            raise ConfigError(f"{name} declares more than {_LARGEST:,} numbers: fetch the bundle again")
        ops = {part["op_name"] for part in self._graph._get_ops_details()}  # there is no public way
        if not ops <= _OPS:
            raise ConfigError(f"{name} holds {', '.join(sorted(ops - _OPS))}; only dense layers are served")

    def run(self, rows: Array) -> Array:
        """f8[n, outputs] of `rows` f8[n, inputs]."""
        out = np.empty((len(rows), self._outputs))
        for at in range(0, len(rows), ROWS):
            n = min(ROWS, len(rows) - at)
            self._block[:n] = rows[at:at + n]
            self._block[n:] = 0.0
            self._graph.set_tensor(self._in, self._block)
            self._graph.invoke()
            out[at:at + n] = self._graph.get_tensor(self._out)[:n]
        return out
