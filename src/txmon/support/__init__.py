"""Helps every package with safe files, safe terminals, durations and suggestions. It knows nothing of transactions.

It may import `errors` only. Start reading at any module: none needs another to be understood.
"""
