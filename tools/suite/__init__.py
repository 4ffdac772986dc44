"""What `tools/run_test.py` runs side by side, and what came of it."""
