"""Turns the command line into settings, runs the command, and turns every failure into one line and an exit code.

It may import everything. Start reading at `main`, then at the module of a command in `commands`.
"""
