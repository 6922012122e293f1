"""txmon: learns what is normal in a stream of transactions and says when it is not."""

__version__ = "0.1.0"
