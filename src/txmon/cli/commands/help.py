"""`txmon help`: explains a topic, a command or a setting."""

from importlib.resources import files

import click
from click.shell_completion import CompletionItem

from txmon.cli.help_page import Command
from txmon.errors import UsageError
from txmon.settings.declarations import DECLARATIONS, FORMER, default_text, flag, variable
from txmon.settings.parsers import Choice
from txmon.support.suggest import nearest

TOPICS = (
    "input", "times", "statuses", "settings", "detection", "incidents", "verdicts", "rules", "notifications", "state",
    "exit-codes",
)  # fmt: skip


def a_topic(context: click.Context, param: object, incomplete: str) -> list[CompletionItem]:
    """Return the topics and commands that begin with `incomplete`, for a shell."""
    root = context.find_root()
    commands = root.command.list_commands(root) if isinstance(root.command, click.Group) else []
    return [CompletionItem(word) for word in (*TOPICS, *commands) if word.startswith(incomplete)]


@click.command(
    "help",
    cls=Command,
    context_settings={"ignore_unknown_options": True},
    short_help="Explain a topic, a command or a setting.",
)
@click.argument("words", nargs=-1, metavar="[TOPIC]", shell_complete=a_topic)
@click.pass_context
def help_(context: click.Context, words: tuple[str, ...]) -> None:
    """Explain TOPIC: a topic, a command, or a setting. Without TOPIC, list the topics.

    \b
    Examples:
      txmon help
      txmon help rules
      txmon help replay
      txmon help --min-count
    """
    root = context.find_root()
    group = root.command
    assert isinstance(group, click.Group)
    if not words:
        click.echo(_topics())
    elif len(words) == 1 and words[0] in TOPICS:
        click.echo(_text(words[0]), nl=False)
    elif (page := _page_of(group, root, words)) is not None:
        click.echo(page)
    elif len(words) == 1 and (name := _setting(words[0])) is not None:
        click.echo(_about(group, root, name))
    else:
        text = " ".join(words)
        known = [*TOPICS, *group.list_commands(root), *map(flag, DECLARATIONS)]
        near = nearest(text, known) or "."
        raise UsageError(f"no topic, command or setting {text!r}{near} `txmon help` lists the topics.")


def _text(topic: str) -> str:
    return files("txmon.cli").joinpath("topics", f"{topic}.txt").read_text("utf-8")


def _topics() -> str:
    rows = [f"  {topic:14} {_text(topic).partition(chr(10))[0]}" for topic in TOPICS]
    return "\n".join(
        ["Topics:", *rows, "", "`txmon help TOPIC` explains one of them. TOPIC may also be a command or a setting:",
         "`txmon help replay`, `txmon help --min-count`. The whole documentation is in docs/."]
    )  # fmt: skip


def _page_of(group: click.Group, root: click.Context, words: tuple[str, ...]) -> str | None:
    """Return the full help of the command that `words` name, such as `state show`, or None if they name no command."""
    command: click.Command | None = group
    context = root
    for word in words:
        if not isinstance(command, click.Group) or word not in command.list_commands(context):
            return None
        command = command.get_command(context, word)
        assert command is not None
        context = click.Context(command, context, word)
    assert command is not None
    return command.get_help(context)


def _setting(word: str) -> str | None:
    """Return the name of the setting that `word` names by flag, key or variable, or None."""
    name = word.lstrip("-").replace("-", "_").lower().removeprefix("txmon_")
    name = FORMER.get(name, name)
    return name if name in DECLARATIONS else None


def _about(group: click.Group, root: click.Context, name: str) -> str:
    declaration = DECLARATIONS[name]
    words = declaration.parse.words if isinstance(declaration.parse, Choice) else ()
    takers = []
    for command_name in group.list_commands(root):
        command = group.get_command(root, command_name)
        if command is not None and any(name == one.name and flag(name) in one.opts for one in command.params):
            takers.append(command_name)
    former = [old for old, present in FORMER.items() if present == name]
    rows = [
        ("flag", f"{flag(name)} {declaration.metavar or '|'.join(words)}".rstrip()),
        ("variable", variable(name)),
        ("txmon.toml", name),
        ("default", default_text(name)),
        ("may be given", "more than once" if declaration.many else "once"),
        ("commands", ", ".join(takers) or "none"),
        *([("former name", ", ".join(former))] if former else []),
    ]
    return "\n".join([declaration.help, "", *(f"  {what:13} {text}" for what, text in rows)])
