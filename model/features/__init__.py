"""The one operator that computes features, in training and in the stream."""
