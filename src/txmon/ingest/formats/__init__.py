"""Turns a file's bytes into the lines that the parser reads: CSV with a header, or one JSON object per line.

It may import `ingest`. Start reading at `opened`, which detects the format of a file. Each other module reads one
format.
"""
