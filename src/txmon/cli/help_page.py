"""Commands and options with sections in their help: `-h` prints the most important ones, `--help` prints all.

A click add-on could do the same, but with rich-click txmon starts in 230 ms instead of 120 ms (docs/decisions.md).
"""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

F = TypeVar("F", bound=Callable[..., Any])
PLAIN: Final = "Options"  # the section of options without one
ORDER: Final = (
    PLAIN, "Source", "Input", "Detection", "Incidents", "Output", "Notifications", "State", "Server", "Spark",
)  # fmt: skip
FEW: Final = 12  # a command with so few options shows all of them for -h, without sections
WIDEST: Final = 100  # columns of a help text


class Option(click.Option):
    """An option with a section in the help, and former names that the help does not show."""

    def __init__(
        self,
        declarations: Sequence[str],
        *,
        section: str = PLAIN,
        former: Sequence[str] = (),
        words: Sequence[str] = (),
        **attributes: Any,
    ) -> None:
        """Create it. section: one of ORDER. former: names that are still accepted.

        words: the values, for shell completion.
        """
        super().__init__([*declarations, *former], **attributes)
        self.section = section
        self.former = frozenset(former)
        self.words = tuple(words)

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the names and the text for the help, without former names."""
        every = self.opts
        self.opts = [name for name in every if name not in self.former]
        try:
            return super().get_help_record(ctx)
        finally:
            self.opts = every

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the possible values, for a shell."""
        from txmon.cli.completing import values  # imported here because only a shell needs it

        found = values(self.name or "", self.metavar, self.words, ctx.obj or (), incomplete)
        return super().shell_complete(ctx, incomplete) if found is None else found


def option(*declarations: str, **attributes: Any) -> Callable[[F], F]:
    """Return a decorator that adds an Option to a command. The arguments are those of click.option and of Option."""
    return click.option(*declarations, cls=Option, **attributes)


class Page(click.Command):
    """The help of a command."""

    common: Sequence[str] = ()  # parameters that -h shows; if empty, all of them

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the parameters of the command, and `-h` and `--help`."""
        return [*self.params, *_help_options()]

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """Return the option that prints the whole help."""
        return _help_options()[1]

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the whole help."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        for section, options in self.sections(ctx).items():
            _list(ctx, formatter, section, options)
        if isinstance(self, click.Group):
            self.format_commands(ctx, formatter)
        self.format_epilog(ctx, formatter)

    def brief_help(self, ctx: click.Context) -> str:
        """Return the short help: the first paragraph, the examples, and the most important options."""
        options = _options(self, ctx)
        shown = [option for option in options if option.name in {*self.common, "brief", "help"}]
        if not self.common or len(options) <= FEW:
            return self.get_help(ctx)
        formatter = ctx.make_formatter()
        self.format_usage(ctx, formatter)
        paragraphs = inspect.cleandoc(self.help or "").split("\n\n")
        kept = [paragraphs[0], *(text for text in paragraphs if text.startswith("\b\nExamples:"))]
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text("\n\n".join(kept))
        order = {name: place for place, name in enumerate(self.common)}
        shown.sort(key=lambda option: order.get(option.name or "", len(order)))
        _list(ctx, formatter, PLAIN, shown)
        formatter.write_paragraph()
        formatter.write_text(
            f"`{ctx.command_path} --help` prints all {len(options)} options. `txmon help TOPIC` explains a topic."
        )
        return formatter.getvalue().rstrip("\n")

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments as click does. Raise UsageError for quiet hours under their former name."""
        for name, value in pairwise(args):
            if name == "--quiet" and value[:1].isdigit() and ":" in value:
                raise click.UsageError(f"--quiet takes no value. Use --quiet-hours {value}", ctx)
        return super().parse_args(ctx, args)

    def sections(self, ctx: click.Context) -> dict[str, list[click.Option]]:
        """Return the options by section, in the order of ORDER, or in one section if there are few."""
        options = _options(self, ctx)
        if len(options) <= FEW:
            return {PLAIN: options}
        found = {section: [one for one in options if _section(one) == section] for section in ORDER}
        return {section: some for section, some in found.items() if some}

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the possible continuations for a shell, without former names of options."""
        former = {name for option in _options(self, ctx) if isinstance(option, Option) for name in option.former}
        return [item for item in super().shell_complete(ctx, incomplete) if item.value not in former]


class Command(Page):
    """A command with sections in its help."""

    def __init__(self, *arguments: Any, common: Sequence[str] = (), **attributes: Any) -> None:
        """Create it. common: the parameters that -h shows."""
        super().__init__(*arguments, **attributes)
        self.common = common


class Group(Page, click.Group):
    """A group of commands with sections in its help."""

    def __init__(
        self,
        *arguments: Any,
        common: Sequence[str] = (),
        groups: Mapping[str, Sequence[str]] | None = None,
        **attributes: Any,
    ) -> None:
        """Create it. common: the parameters that -h shows. groups: the names of the commands by heading."""
        super().__init__(*arguments, **attributes)
        self.common = common
        self.groups = groups

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, under their headings."""
        for heading, names in (self.groups or {"Commands": self.list_commands(ctx)}).items():
            rows = [(name, command.get_short_help_str(80)) for name, command in _commands(self, ctx, names)]
            if rows:
                with formatter.section(heading):
                    formatter.write_dl(rows)


def _commands(group: click.Group, ctx: click.Context, names: Sequence[str]) -> Iterator[tuple[str, click.Command]]:
    for name in names:
        command = group.get_command(ctx, name)
        if command is not None:
            yield name, command


def _options(command: click.Command, ctx: click.Context) -> list[click.Option]:
    return [one for one in command.get_params(ctx) if isinstance(one, click.Option) and not one.hidden]


def _section(option: click.Option) -> str:
    return option.section if isinstance(option, Option) else PLAIN


def _list(ctx: click.Context, formatter: click.HelpFormatter, section: str, options: Sequence[click.Option]) -> None:
    rows = [row for row in (option.get_help_record(ctx) for option in options) if row is not None]
    if rows:
        with formatter.section(section):
            formatter.write_dl(rows)


def _help_options() -> tuple[click.Option, click.Option]:
    return _BRIEF, _WHOLE


def _print_brief(ctx: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        command = ctx.command
        click.echo(command.brief_help(ctx) if isinstance(command, Page) else command.get_help(ctx), color=ctx.color)
        ctx.exit()


def _print_whole(ctx: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(ctx.get_help(), color=ctx.color)
        ctx.exit()


_BRIEF: Final = click.Option(
    ["-h", "brief"], is_flag=True, is_eager=True, expose_value=False, callback=_print_brief,
    help="Print the options that matter most.",
)  # fmt: skip
_WHOLE: Final = click.Option(
    ["--help"], is_flag=True, is_eager=True, expose_value=False, callback=_print_whole, help="Print all options.",
)  # fmt: skip
