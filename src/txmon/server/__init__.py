"""Provides the HTTP endpoint and the live page in front of the pipeline.

It may import `runtime`, `notify` and what they use. Start reading at `app` for the routes, and `engine` for the
pipeline behind them.
"""
