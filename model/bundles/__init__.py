"""What scores and who is champion: bundles, the catalog, promotions and published weights."""
