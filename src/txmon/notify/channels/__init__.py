"""Holds one module for each way to reach people.

It may import `notify.notification`, `notify.wording` and `model`. Start reading at `base`, what a channel is.
"""
