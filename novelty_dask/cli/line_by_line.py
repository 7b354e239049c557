"""What can be answered line by line, and which options change lines before."""

from novelty_dask.errors import SettingsError

CHANGING = ("refang", "unwrap")
"""Options that change lines before they are scored, in this order."""
SHORTER = {"ngram_range": "ngram"}
"""Options by the settings that have longer names."""


def check_stream(
    sources: tuple[str, ...],
    out: str | None,
    against: tuple[str, ...],
    given: list[str],
    *,
    is_chosen: bool,
) -> None:
    """Refuse what can't be answered line by line.

    Raises
    ------
    SettingsError
        It says what to change.
    """
    problem = ""
    if not is_chosen:
        problem = "--json of score is for --stream; leave it out, or store a run and export it"
    elif not against:
        problem = "--stream compares each line with a run; name it with --against"
    elif len(against) > 1:
        problem = (
            f"--stream compares each line with one run, and {len(against)} are named; name one of them, or "
            "add the lists of the others to it"
        )
    elif sources != ("-",):
        problem = "--stream answers standard input; name no source but -"
    elif out is not None:
        problem = "--stream stores no run; leave out --out"
    elif rest := [name for name in given if name not in (*CHANGING, "memory_limit", "since")]:
        options = ", ".join("--" + SHORTER.get(name, name).replace("_", "-") for name in rest)
        problem = f"--stream reads one URL a line, with the settings of its reference; leave out {options}"
    if problem:
        raise SettingsError(f"{problem}.")
