"""The pipeline as it runs: its stages, their processes, what is missing and what to do."""
