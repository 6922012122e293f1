"""Draws the screen: the live chart, the summary and tables. It also reads the keys that control them.

It may import `pipeline`, `model` and `support`. Start reading at `live_chart`.
"""
