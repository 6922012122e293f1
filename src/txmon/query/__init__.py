"""Answers SQL over transactions, verdicts and checkouts, and exports the answer.

It may import `ingest` and what it uses. Start reading at `database`; the named queries are in `sql`.
"""
