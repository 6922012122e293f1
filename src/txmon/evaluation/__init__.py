"""Generates labelled streams, scores verdicts against labels, and chooses a threshold.

It may import `runtime`, `pipeline` and what they use. Start reading at `simulate`, `evaluate` or `tune`, which
implement the commands with these names.
"""
