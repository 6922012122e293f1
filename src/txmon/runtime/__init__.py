"""Builds the running thing from settings: the reader, the pipeline, the live loop, the state file.

It may import `pipeline` and what it uses. Start reading at `factory`, then `live`.
"""
