"""Options for how sources are read, and what help shows of defaults."""

from typing import get_args

import click

from novelty_dask.kernels.choices import FILE_FORMATS, Invalid
from novelty_dask.settings import Settings


def show_default_of(setting: str) -> str:
    """Return the default of a setting, as help shows it."""
    return f"[default: {Settings.model_fields[setting].default}]"


READ_OPTIONS = (
    click.option(
        "--remote",
        is_flag=True,
        default=None,
        help="Read the list that lies behind each URL of the web that is named, by one request.",
    ),
    click.option(
        "--input-format",
        type=click.Choice(FILE_FORMATS),
        help="Format of the sources. [default: lists of URLs; with --column, what their content tells]",
    ),
    click.option(
        "--column",
        metavar="NAME",
        help="Column to score, by its name, or by its number in CSV and TSV; of JSON as in request.url.",
    ),
    click.option(
        "--keep",
        metavar="NAME",
        multiple=True,
        help="Another column, which each row keeps of its first record and exports have; repeat for more.",
    ),
    click.option(
        "--time-column",
        metavar="NAME",
        help="Column of the time of each record, as in 2026-11-27T12:30:00Z; each URL is then compared with "
        "those that were seen before it.",
    ),
    click.option(
        "--unwrap",
        is_flag=True,
        default=None,
        help="Take URLs out of quotes, brackets, bullets, numbering, and links of Markdown.",
    ),
    click.option(
        "--refang",
        is_flag=True,
        default=None,
        help="Read URLs that were written so that nothing makes links of them: hxxps://a[.]example.",
    ),
    click.option(
        "--invalid",
        type=click.Choice(get_args(Invalid)),
        help="Reject lines that are not UTF-8, or keep their bytes as %XX. " + show_default_of("invalid"),
    ),
    click.option("--host", help="Host of the requests in access logs that name none, as in a.example."),
)
