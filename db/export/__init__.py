"""Rows for data scientists and BI tools: named columns as CSV or Parquet, and as an SQL view."""
