"""The endpoints of five other projects: one file each, pure functions from their bodies to
transactions and from decisions to their answers. What is reached by which path and under which
profile stands in `producers.api.routes.compat`; there is no second way to a score.
"""
