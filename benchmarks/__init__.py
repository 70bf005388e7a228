"""The asv suite; `compare.py` beside it races the peers."""
