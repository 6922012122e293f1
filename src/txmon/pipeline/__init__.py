"""Is the pure loop: records into buckets, buckets into verdicts, verdicts into incidents.

It may import `settings`, `detection`, `ingest` and `model`. Start reading at `pipeline`, which is the loop.
"""
