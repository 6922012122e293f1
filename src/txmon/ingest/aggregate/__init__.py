"""Adds lines up to counts without making a record of each: the same result as `records` and the buckets, faster.

Delete it, and only speed is lost. It may import `ingest` and `model`. Start reading at `aggregator`, which chooses
the fast way that a line allows.
"""
