"""Decides what people are notified of, and delivers it in order, also after a restart.

It may import `settings`, `model` and `support`. Start reading at `policy`, which decides, then `delivery`, which
sends.
"""
