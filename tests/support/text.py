"""Text as the terminal shows it."""


def refanged(shown: str) -> str:
    """Return what a URL was before `defang`."""
    return shown.replace("[://]", "://").replace("[.]", ".")
