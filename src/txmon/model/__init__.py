"""Holds the values that pass between the stages: keys, times, verdicts, incidents, and how they are written as bytes.

It may import `support` only. Start reading at `verdict` and `outcome`.
"""
