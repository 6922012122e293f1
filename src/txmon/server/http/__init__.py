"""Implements HTTP/1.1 over sockets, with limits and deadlines. It does not depend on transactions.

It may import the standard library and `errors`. Start reading at `message`, then `connection` and `listener`.
"""
