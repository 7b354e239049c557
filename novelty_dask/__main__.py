"""The command ``novelty`` as a program; ``python -m novelty_dask`` is the same."""

from novelty_dask.interrupts import end_quietly

# Before all other imports, which take most of a second.
end_quietly()

from novelty_dask.cli import main as command  # noqa: E402


def main() -> None:
    """Run the command."""
    command(prog_name="novelty")


if __name__ == "__main__":
    main()
