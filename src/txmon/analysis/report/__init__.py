"""Draws one `Report` as text, Markdown, HTML or a picture.

It may import `analysis`, `query`, `terminal` and `support`. Start reading at `report`, the value that every drawing
uses.
"""
