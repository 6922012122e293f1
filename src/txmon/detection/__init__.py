"""Learns what is normal for every series, and judges each closed bucket before it learns from it.

It may import `model`; it never prints, reads a file or looks at a clock. Start reading at `detector`, then
`judgement` for the score and `baseline` for what is learned.
"""
