"""Contains one module for each subcommand.

It may import everything. Start reading at the module with the name of the subcommand.
"""
