"""Builds the running thing from settings: the reader, the pipeline, the live session, the state file.

It may import `pipeline` and what it uses. Start reading at `factory`, then `session`, which `watch` and `serve` share.
"""
