"""Declares every setting once, parses it, and loads it from flags, variables and files.

It may import `model` and `support`. Start reading at `declarations`.
"""
