"""From a file's bytes to the lines that the parser reads: CSV with a header, or one JSON object per line.

Start reading at `opened`, which finds out what a file is. Each other module reads one kind.
"""
