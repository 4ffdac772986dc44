"""Verdicts from evidence: refusals, readiness, status."""
