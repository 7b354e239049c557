"""Print the lowest versions that pyproject.toml allows, for its tests too, as constraints for pip."""

import re
import sys
import tomllib
from pathlib import Path

PROJECT = Path(__file__).parents[1] / "pyproject.toml"


def lowest_versions(text: str) -> list[str]:
    r"""Return the lower bounds of a pyproject.toml as exact versions.

    >>> lowest_versions('[project]\ndependencies = ["dask[array]>=2025.7", "zstd>=1; python_version < 3.14"]')
    ['dask==2025.7', 'zstd==1; python_version < 3.14']
    """
    project = tomllib.loads(text)["project"]
    requirements = [*project["dependencies"], *project.get("optional-dependencies", {}).get("test", [])]
    return [re.sub(r"^([\w.-]+)(?:\[[\w,]+\])?>=", r"\1==", requirement) for requirement in requirements]


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in lowest_versions(PROJECT.read_text(encoding="utf-8")))
