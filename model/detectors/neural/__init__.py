"""The neural detectors: TensorFlow trains them, LiteRT serves them."""
