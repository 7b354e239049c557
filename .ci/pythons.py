"""Print the versions of Python that the classifiers of pyproject.toml name, as an output of a workflow."""

import json
import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def supported_versions(text: str) -> list[str]:
    """Return the versions that a pyproject.toml names, in its order."""
    classifiers = tomllib.loads(text)["project"]["classifiers"]
    found = (re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", name) for name in classifiers)
    return [match[1] for match in found if match]


if __name__ == "__main__":
    sys.stdout.write(f"versions={json.dumps(supported_versions(PROJECT.read_text(encoding='utf-8')))}\n")
