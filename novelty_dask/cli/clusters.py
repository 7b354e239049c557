"""Commands that make certificates for a cluster, start it, stop it, and describe it."""

import time

import click

from novelty_dask.cli import options
from novelty_dask.cli.commands import main, say
from novelty_dask.cli.streams import emit
from novelty_dask.execution.clusters.certificates import make_certificates

file = click.argument("file")
insecure = click.option(
    "--insecure", is_flag=True, help="Allow a cluster beyond this machine that does not encrypt."
)
POLL_SECONDS = 1.0


@main.group()
def cluster() -> None:
    """Start, stop and describe clusters, and make certificates for them."""


@cluster.command()
@click.argument("folder", metavar="DIR")
@click.option(
    "--days",
    type=click.IntRange(1, 3_650),
    default=365,
    show_default=True,
    help="Days after which the certificates expire.",
)
@options.debug
def certs(folder: str, *, days: int) -> None:
    """Make certificates for one cluster: of an authority, and of scheduler, worker and client.

    DIR is a new folder, which only its owner may read. Whoever holds a certificate of it belongs to
    the cluster; the key of its authority is not kept, so that nobody can make another. Nothing is
    overwritten.
    """
    names = make_certificates(folder, days)
    emit([f"{folder}/{name}" for name in names])


@cluster.command()
@file
@insecure
@options.debug
def start(file: str, *, insecure: bool) -> None:
    """Start the cluster of a YAML file, and hold it until Ctrl-C, SIGTERM, or novelty cluster stop.

    Other commands work on it with --cluster FILE. Its scheduler is in this process; its address is
    kept in a file beside FILE that ends in .scheduler.json, for --scheduler-file.
    """
    from novelty_dask.execution.clusters.holding import held  # noqa: PLC0415 - Distributed takes long to import

    with held(file, say, insecure=insecure) as address:
        emit([address])
        while True:
            time.sleep(POLL_SECONDS)


@cluster.command()
@file
@options.debug
def stop(file: str) -> None:
    """Stop the cluster of a YAML file that novelty cluster start holds on this machine."""
    from novelty_dask.execution.clusters import holding  # noqa: PLC0415

    say(
        "The cluster has been stopped."
        if holding.stop(file)
        else "The cluster is not started; nothing to do."
    )


@cluster.command()
@file
@options.debug
def describe(file: str) -> None:
    """Print what the YAML file of a cluster says, whether it is started, and the script of its jobs."""
    from novelty_dask.execution.clusters.holding import description  # noqa: PLC0415

    emit(description(file))
