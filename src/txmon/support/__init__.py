"""Provides safe files, safe terminals, durations and suggestions to all packages. It does not depend on transactions.

It may import `errors` only. Start reading at any module, because they are independent of each other.
"""
