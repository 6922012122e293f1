"""Makes labelled streams, scores verdicts against labels, and chooses a threshold.

It may import `runtime`, `pipeline` and what they use. Start reading at `simulate`, `evaluate` or `tune`, each the
work of the command of its name.
"""
