"""Writes verdict lines to a stream, a file, a folder of logs or Kafka, and rows to SQL tables or Parquet files.

It may import `model` and `support`, but never the detector. Start reading at `lines`, then `jsonl`.
"""
