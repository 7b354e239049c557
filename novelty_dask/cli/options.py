"""Options that several commands share.

Options for settings have no defaults of their own, so that a settings file and the defaults of `Settings`
apply where an option is not given.
"""

import re
import sys
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeVar, get_args

import click

from novelty_dask.cli.failures import DEBUG, RUN
from novelty_dask.cli.read_options import READ_OPTIONS, show_default_of
from novelty_dask.errors import SettingsError, StoreError, check_names_folder
from novelty_dask.kernels.choices import VIEWS, FeatureSet, NormalForm
from novelty_dask.settings import Settings

Command = TypeVar("Command", bound=Callable[..., Any])
_SETTING = re.compile(r"Setting (\w+)=")


RESULT_OPTIONS = (
    click.option(
        "-k",
        "--n-neighbors",
        type=int,
        help=f"Neighbors to keep of each row. {show_default_of('n_neighbors')}",
    ),
    click.option("--score", hidden=True, help="It is gone; the message names the column to use."),
    click.option(
        "--features",
        type=click.Choice(get_args(FeatureSet)),
        help="Compare lines by the parts of their URL, or by their character n-grams. "
        + show_default_of("features"),
    ),
    click.option(
        "--ngram",
        "ngram_range",
        metavar="MIN,MAX",
        help="Lengths of character n-grams, for those features. [default: 3,3]",
    ),
    click.option(
        "--n-features",
        type=int,
        help="Columns of the hashed matrix. [default: 4194304 for url, 1048576 for ngrams]",
    ),
    click.option(
        "--normal-form",
        type=click.Choice(get_args(NormalForm)),
        help="Lines that are one row: those that are equal, or equal as browsers rewrite them, or "
        "spellings of one page, or pages of one template. [default: page for url, raw for ngrams]",
    ),
    click.option(
        "--outside-groups",
        type=float,
        metavar="X",
        help="Neighbors outside the group of a row alone, which pairs at least so similar connect.",
    ),
    click.option(
        "--period-rows",
        type=int,
        help="With --time-column: rows of a period, whose weights follow from all rows before it. [default: "
        "4096 for the first, and for each other as many as before it]",
    ),
    click.option(
        "--since",
        metavar="TIME",
        help="With --against: known are only the rows of the run that were last seen then or later.",
    ),
)
CLUSTER_OPTIONS = (
    click.option(
        "--scheduler",
        metavar="ADDRESS",
        help="A running Dask scheduler to work on instead, with the workers that it has.",
    ),
    click.option(
        "--scheduler-file",
        metavar="FILE",
        help="File with the address of one, as Dask's own option writes it.",
    ),
    click.option(
        "--cluster",
        metavar="FILE",
        help="YAML file of a cluster to start for this command and to end after it, or of a started one.",
    ),
    click.option(
        "--certs",
        metavar="DIR",
        help="Certificates for a scheduler at tls://, as made by novelty cluster certs. "
        "[default: as Dask is configured]",
    ),
    click.option(
        "--insecure",
        is_flag=True,
        default=None,
        help="Allow a scheduler beyond this machine that does not encrypt.",
    ),
)
WORKER_OPTIONS = (
    click.option(
        "--memory-limit",
        metavar="SIZE",
        help="Memory of one worker, such as '2 GB'. [default: its share of 80 % of what is free]",
    ),
    click.option(
        "--workers",
        type=int,
        help="Worker processes; 0 works in this one. [default: 0 for small sources, else one a core]",
    ),
    click.option("--threads", type=int, help=f"Threads of a worker. {show_default_of('threads')}"),
    *CLUSTER_OPTIONS,
    click.option(
        "--performance-report",
        metavar="FILE",
        help="Write Dask's performance report, a page of HTML, of the work on its scheduler or on workers.",
    ),
)
WORK_OPTIONS = (
    click.option("--block-rows", type=int, help="Rows of a block. [default: as memory allows]"),
    *WORKER_OPTIONS,
    click.option(
        "--strict",
        is_flag=True,
        default=None,
        help="Refuse sources if a line of them is rejected, unless it is blank or a comment.",
    ),
)
SELECTION_OPTIONS = (
    click.option(
        "--min-novelty",
        type=float,
        metavar="X",
        help="Leave out rows below X, in the column of the order; in novelty, in the order of the input.",
    ),
    click.option(
        "--per-site",
        type=click.IntRange(min=1),
        metavar="N",
        help="Most rows of one site, a registered domain by the public suffix list.",
    ),
    click.option(
        "--per-template",
        type=click.IntRange(min=1),
        metavar="N",
        help="Most rows of one template, which pages share that differ in numbers and random tokens alone.",
    ),
    click.option(
        "--max-p",
        type=float,
        metavar="P",
        help="Leave out rows whose p-value is above P, and add the column p_value.",
    ),
    click.option(
        "--fdr",
        type=float,
        metavar="Q",
        help="Rows at a false discovery rate of Q, by Benjamini and Hochberg, with the column p_value.",
    ),
    click.option("--least", is_flag=True, help="The least novel rows first, such as those of crawl traps."),
    click.option(
        "--ignore",
        metavar="FILE",
        help="Leave out the rows of hosts, pages and templates that this file lists, one a line.",
    ),
    click.option(
        "--redact",
        is_flag=True,
        help="Print … for user names, passwords, and values of parameters such as token.",
    ),
)
CONFIG_OPTION = click.option(
    "--config", metavar="FILE", help="TOML file of settings; the options above override it."
)


def settings_options(command: Command) -> Command:
    """Add a flag for each field of `Settings`, and one for a file of them."""
    # Reversed, here and below: help lists first the decorator that is applied last.
    for option in reversed([*READ_OPTIONS, *RESULT_OPTIONS, *WORK_OPTIONS, CONFIG_OPTION]):
        command = option(command)
    return command


def selection_options(command: Command) -> Command:
    """Add the flags that say which rows to give, and how to show them."""
    for option in reversed(SELECTION_OPTIONS):
        command = option(command)
    return command


def worker_options(command: Command) -> Command:
    """Add the flags that say who works, and with how much memory."""
    for option in reversed(WORKER_OPTIONS):
        command = option(command)
    return command


def work_options(command: Command) -> Command:
    """Add a flag for each field of `Settings` that does not change numbers."""
    for option in reversed(WORK_OPTIONS):
        command = option(command)
    return command


def read_settings(config: str | None, **flags: Any) -> Settings:
    """Return the settings of a file and of flags; flags take precedence.

    Raises
    ------
    SettingsError
        One of them is unknown or impossible.
    """
    # An option that may be repeated is an empty tuple where it is not given.
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    try:
        return Settings.read(config, **given) if config else Settings.make(**given)
    except SettingsError as error:
        raise SettingsError(_with_option(str(error), given)) from None


def check_printed(out: str | None, **flags: bool) -> None:
    """Refuse options that change what is printed where a table is written instead.

    Raises
    ------
    SettingsError
        One of them is given.
    """
    given = " and ".join(f"--{name}" for name, is_given in flags.items() if is_given)
    if out is not None and given:
        message = (
            f"{given} can't be combined with --out, which writes a table as it is; leave out one of them."
        )
        raise SettingsError(message)


def _with_option(message: str, given: Collection[str]) -> str:
    """Return a message on a setting with the option that gave it, if one did."""
    named = _SETTING.match(message)
    for parameter in click.get_current_context().command.params:
        if named and named[1] in given and parameter.name == named[1]:
            return f"{message.removesuffix('.')} ({', '.join(parameter.opts)})."
    return message


def _remember(ctx: click.Context, _parameter: click.Parameter, debug: bool) -> None:  # noqa: FBT001 - click's
    """Keep the flag --debug for the handling of errors."""
    ctx.meta[DEBUG] = debug


def _name_run(ctx: click.Context, _parameter: click.Parameter, name: str) -> str:
    """Keep the name of a run for the commands that messages print."""
    ctx.meta[RUN] = name
    return name


def split_names(
    _ctx: click.Context, _parameter: click.Parameter, names: str | None
) -> tuple[str, ...] | None:
    """Return the names between commas."""
    return None if names is None else tuple(name.strip() for name in names.split(","))


def _check_new(_ctx: click.Context, _parameter: click.Parameter, name: str | None) -> str | None:
    """Refuse a name under which no run can be stored, before anything is made.

    Raises
    ------
    StoreError
        It is such a name.
    """
    if name is not None:
        if name in ("", "-"):
            message = f"{name!r} is no name of a run, which is a folder: name it, as in --out run.zarr."
            raise StoreError(message)
        if name.lower().startswith("memory:"):
            message = f"Nothing of {name!r} would outlast the command; name a folder, as in --out run.zarr."
            raise StoreError(message)
        check_names_folder(name)
    return name


def is_terminal_input() -> bool:
    """Return whether nothing is piped in: standard input is a terminal, or closed."""
    return sys.stdin is None or sys.stdin.isatty()


def _find_input(ctx: click.Context, parameter: click.Parameter, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the sources that are named, or standard input if something is piped in or redirected."""
    if not names and is_terminal_input():
        raise click.MissingParameter(ctx=ctx, param=parameter)
    return names or ("-",)


run = click.argument("run", callback=_name_run)
by = click.option(
    "--by",
    type=click.Choice(VIEWS),
    default=VIEWS[0],
    show_default=True,
    help="Column to print, its highest values first.",
)
columns = click.option(
    "--columns", metavar="A,B,...", callback=split_names, help="Columns to write, in this order."
)
order = click.option(
    "--order",
    type=click.Choice(["input", *VIEWS]),
    default="input",
    show_default=True,
    help="Order of the rows: as first read, or by a column, its highest values first.",
)
sources = click.argument("sources", metavar="SOURCE...", nargs=-1, callback=_find_input)
new_run = partial(click.option, "-o", "--out", metavar="RUN.zarr", callback=_check_new)
against = click.option(
    "--against",
    metavar="RUN",
    multiple=True,
    help="Compare with the rows of this run alone, by its weights; those that it has are known. Repeated, "
    "with the rows of all of these runs, weighed together.",
)
stream = click.option(
    "--stream", is_flag=True, help="Answer standard input line by line, as it comes; needs --against."
)
as_json_lines = click.option(
    "--json", "as_json", is_flag=True, help="With --stream, print an object in JSON for each line."
)
quiet = click.option("-q", "--quiet", is_flag=True, help="Print no progress and no summary.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print one document in JSON, for programs.")
debug = click.option(
    "--debug", is_flag=True, expose_value=False, callback=_remember, help="Show where an error arose."
)
