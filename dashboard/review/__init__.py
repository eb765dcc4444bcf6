"""The pages for review: one case after the other, the list of them, and the reviewers' figures."""
