"""`python -m cli` is the `tidegate` command."""

from cli import main

main()
