"""Tidegate scores money transactions while they stream through Kafka, and learns from verdicts."""
