"""One module a subcommand: options in, exit code out."""
