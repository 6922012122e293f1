"""Turns bytes from files, streams and Kafka into records, and bad lines into rejects.

It may import `model` and `support`. Start reading at `records`: one line in, one record or reject out.
"""
