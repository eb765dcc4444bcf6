"""What scores and who is champion: immutable bundles, the catalog, promotions and published
weights.
"""
