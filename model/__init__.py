"""Features, detectors, bundles and training: one operator for training and serving."""
