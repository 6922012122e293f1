"""`txmon completion`: what makes a shell complete txmon's commands and options."""

import click
from click.shell_completion import get_completion_class

VARIABLE = "_TXMON_COMPLETE"


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
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
    kind = get_completion_class(shell)
    assert kind is not None
    made = kind(click.Command("txmon"), {}, "txmon", VARIABLE)
    click.echo(made.source_template % made.source_vars())
