"""Trains neural models with TensorFlow into TFLite graphs. Nothing that serves imports this."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.detectors.base import Array
from model.detectors.neural.graph import ROWS
from model.detectors.neural.size import Size
from model.detectors.packages import require

_BATCH = 256
_WEIGHT = 0.02
"""Weight of the distance to the normal distribution, beside a row's mean squared error."""
_DECAY = 0.01
"""Weight of an autoencoder's squared weights: what it never saw it must not reconstruct either."""
Untyped = Any
"""TensorFlow ships no types."""


def _tensorflow() -> Untyped:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it reports its build on stderr otherwise
    require("neural", "neural models")
    import tensorflow

    return tensorflow


def _fresh(seed: int) -> Untyped:
    """Keras with nothing left of earlier models: equal seeds give equal bytes."""
    keras = _tensorflow().keras
    keras.backend.clear_session()
    keras.utils.set_random_seed(seed)
    return keras


def _dense(
    keras: Untyped, sizes: list[int], last: str | None = None, decay: float = 0.0
) -> list[Untyped]:
    return [
        keras.layers.Dense(
            size,
            activation=last if k == len(sizes) - 1 else "tanh",
            kernel_regularizer=keras.regularizers.L2(decay),
        )
        for k, size in enumerate(sizes)
    ]


def autoencoder(rows: Array, size: Size, seed: int) -> bytes:
    """A graph that reconstructs each row of `rows` f8[n, size.width] from a narrow layer."""
    keras = _fresh(seed)
    model = keras.Sequential(
        [
            keras.Input((size.width,)),
            *_dense(keras, [size.hidden, size.code, size.hidden, size.width], decay=_DECAY),
        ]
    )
    model.compile(keras.optimizers.Adam(0.003), "mse")
    _train(model, rows, rows, size.epochs)
    return _graph(model.layers)


def recurrent(rows: Array, size: Size, seed: int) -> bytes:
    """A graph that reconstructs the newest step of sequences f8[n, steps * size.width].

    They are oldest first. One LSTM reads a sequence into the code, another writes it from there,
    newest step first (Malhotra et al., *LSTM-based encoder-decoder for multi-sensor anomaly
    detection*, ICML workshop 2016). The graph stops after that first step.
    """
    keras = _fresh(seed)
    steps = rows.shape[1] // size.width
    reader = keras.layers.LSTM(size.hidden, unroll=True)
    writer = keras.layers.LSTM(size.hidden, unroll=True, return_sequences=True)
    code, last = _dense(keras, [size.code], decay=_DECAY), _dense(keras, [size.width], decay=_DECAY)
    model = keras.Sequential(
        [
            keras.Input((rows.shape[1],)),
            keras.layers.Reshape((steps, size.width)),
            reader,
            *code,
            keras.layers.RepeatVector(steps),
            writer,
            *last,
        ]
    )
    model.compile(keras.optimizers.Adam(0.003), "mse")
    _train(model, rows, rows.reshape(-1, steps, size.width)[:, ::-1], size.epochs)
    return _unrolled([layer.get_weights() for layer in (reader, *code, writer, *last)], steps)


def variational(rows: Array, size: Size, seed: int) -> bytes:
    """An autoencoder trained with a code drawn at random (Kingma and Welling, ICLR 2014).

    The graph takes the code's mean.
    """
    tf, keras = _tensorflow(), _fresh(seed)
    inputs, (encoder,) = keras.Input((size.width,)), _dense(keras, [size.hidden], "tanh", _DECAY)
    mean = keras.layers.Dense(size.code)
    encoded = encoder(inputs)

    class Draw(keras.layers.Layer):  # type: ignore[misc, name-defined]
        """A code near the mean; the loss keeps its distribution near the standard normal one."""

        def __init__(self) -> None:
            super().__init__()
            self.seeds = keras.random.SeedGenerator(seed)

        def call(self, distribution: list[Untyped]) -> Untyped:
            center, spread = distribution
            distance = -0.5 * tf.reduce_sum(1 + spread - center**2 - tf.exp(spread), axis=1)
            self.add_loss(_WEIGHT * tf.reduce_mean(distance))
            return center + tf.exp(spread / 2) * keras.random.normal(
                tf.shape(center), seed=self.seeds
            )

    decoder = _dense(keras, [size.hidden, size.width], decay=_DECAY)
    drawn = Draw()([mean(encoded), keras.layers.Dense(size.code)(encoded)])
    model = keras.Model(inputs, decoder[1](decoder[0](drawn)))
    model.compile(keras.optimizers.Adam(0.003), "mse")
    _train(model, rows, rows, size.epochs)
    return _graph([encoder, mean, *decoder])


def classifier(rows: Array, y: NDArray[np.bool_], hidden: int, epochs: int, seed: int) -> bytes:
    """A graph that gives log-odds of `y` bool[n]."""
    keras = _fresh(seed)
    width = rows.shape[1]
    model = keras.Sequential([keras.Input((width,)), *_dense(keras, [hidden, hidden // 2 or 1, 1])])
    model.compile(keras.optimizers.Adam(0.003), keras.losses.BinaryCrossentropy(from_logits=True))
    _train(model, rows, y[:, None].astype(np.float64), epochs)
    return _graph(model.layers)


def _train(model: Untyped, rows: Array, target: Array, epochs: int) -> None:
    model.fit(
        rows.astype(np.float32),
        target.astype(np.float32),
        batch_size=_BATCH,
        epochs=epochs,
        verbose=0,
    )


def _graph(layers: list[Untyped]) -> bytes:
    """TFLite of dense layers, one after the other."""
    tf = _tensorflow()
    weights = [
        (*layer.get_weights(), layer.activation is tf.keras.activations.tanh) for layer in layers
    ]

    def call(rows: Untyped) -> Untyped:
        for matrix, bias, bent in weights:
            rows = tf.matmul(rows, matrix) + bias
            rows = tf.tanh(rows) if bent else rows
        return rows

    return _converted(call, len(weights[0][0]))


def _unrolled(weights: list[list[Untyped]], steps: int) -> bytes:
    """TFLite of a reading LSTM, a dense layer, one step of a writing LSTM, and a dense layer.

    There are no loops and no slices in it: each step has a matrix for the whole row, with zeros
    where the other steps are.
    """
    (read, again, bias), (code, code_bias), (write, _, write_bias), (last, last_bias) = weights
    tf, unit = _tensorflow(), np.eye(steps, dtype=np.float32)

    def call(rows: Untyped) -> Untyped:
        inputs = [_gates(tf, rows, np.kron(unit[:, [t]], read), bias) for t in range(steps)]
        encoded = tf.matmul(_lstm(tf, inputs, again), code) + code_bias
        output = _lstm(tf, [_gates(tf, encoded, write, write_bias)])
        return tf.matmul(output, last) + last_bias

    return _converted(call, steps * len(read))


def _gates(tf: Untyped, rows: Untyped, matrix: Untyped, bias: Untyped) -> list[Untyped]:
    """What goes into the input, forget, cell and output gate."""
    return [
        tf.matmul(rows, weights) + offset
        for weights, offset in zip(np.split(matrix, 4, axis=1), np.split(bias, 4), strict=True)
    ]


def _lstm(tf: Untyped, steps: list[list[Untyped]], again: Untyped = None) -> Untyped:
    """The hidden state after the last step (Hochreiter and Schmidhuber 1997; Gers et al. 2000).

    `steps` are what each step's inputs send to the four gates, `again` the matrix of the hidden
    state before.
    """
    state = cell = None
    for step in steps:
        if state is not None:
            step = [
                gate + tf.matmul(state, weights)
                for gate, weights in zip(step, np.split(again, 4, axis=1), strict=True)
            ]
        enter, keep, value, leave = step
        new = tf.sigmoid(enter) * tf.tanh(value)
        cell = new if cell is None else tf.sigmoid(keep) * cell + new
        state = tf.sigmoid(leave) * tf.tanh(cell)
    return state


def _converted(call: Untyped, width: int) -> bytes:
    """TFLite of `call` for ROWS rows at a time; the weights are constants in it."""
    tf = _tensorflow()
    shape = tf.TensorSpec((ROWS, width), tf.float32)
    concrete = tf.function(call).get_concrete_function(shape)
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()).convert())
