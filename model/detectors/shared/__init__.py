"""What detectors of several kinds share."""
