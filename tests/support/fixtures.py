"""Types of what fixtures return."""

from collections.abc import Callable

from click.testing import Result

Measured = Callable[[str, object], None]
"""Keep a figure of a test, by its name."""
Novelty = Callable[..., Result]
"""Run the command in this process: arguments in, result out."""
