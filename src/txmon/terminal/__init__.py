"""Draws the screen: the live chart, the summary, tables, and the keys that steer it.

It may import `pipeline`, `model` and `support`. Start reading at `live_chart`.
"""
