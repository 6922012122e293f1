"""Defines the values that pass between the stages: keys, times, verdicts, incidents, and their encoding as bytes.

It may import `support` only. Start reading at `verdict` and `outcome`.
"""
