"""Search blocks: of some thousand rows each what a search filters by, packed."""
