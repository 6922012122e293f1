"""`txmon completion`: prints the script that lets a shell complete txmon's commands, options and values."""

import click

from txmon.cli.help_page import Command
from txmon.cli.shells import SCRIPTS


@click.command(cls=Command, short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(list(SCRIPTS)))
def completion(shell: str) -> None:
    """Print the completion script for SHELL.

    \b
    eval "$(txmon completion bash)"        in ~/.bashrc
    eval "$(txmon completion zsh)"         in ~/.zshrc
    txmon completion fish | source         in ~/.config/fish/config.fish

    \b
    Examples:
      txmon completion bash > txmon.bash
    """
    click.echo(SCRIPTS[shell])
