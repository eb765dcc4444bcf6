"""The runner, and the contract between it and a stage: what is read, written and committed."""
