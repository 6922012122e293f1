"""Holds the subcommands, a module for each.

It may import everything. Start reading at the module with the name of the subcommand.
"""
