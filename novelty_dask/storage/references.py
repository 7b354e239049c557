"""References: complete runs whose rows those of other runs are compared with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from novelty_dask.errors import (
    DamageError,
    SettingsError,
    StoreError,
    UnreachableError,
    shell_quoted,
    without_secrets,
)
from novelty_dask.kernels.text.times import format_time
from novelty_dask.objects.address import absolute_url, is_inside
from novelty_dask.planning.stages import LASTING_STAGES, VECTORIZE
from novelty_dask.storage.checked import damaged_reference
from novelty_dask.storage.identity import this_version
from novelty_dask.storage.runs import REFERENCES_FOLDER, StoredRun, open_complete, open_repairable
from novelty_dask.storage.totals import Reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from novelty_dask.settings import ResultSettings
    from novelty_dask.storage.arrays import RunArrays

Chosen = TypeVar("Chosen", bound="ResultSettings")
# Not how lines are read: a list may have another form than what is known had.
ADOPTED = ("n_neighbors", "features", "ngram_range", "n_features", "normal_form")
"""Settings that a run has from its reference."""


def find_reference(path: str, out: str | None) -> StoredRun:
    """Return the run of a path, if rows can be compared with it.

    Parameters
    ----------
    path : str
        Path or URL of the reference.
    out : str or None
        Where the run is to be stored that is compared with it.

    Raises
    ------
    StoreError
        It is no complete run, of another version, has a reference itself, or lies where the new run is to be.
    """
    if not path or path == "-":
        message = f"{path!r} is no name of a run to compare with; name its folder, as in --against run.zarr."
        raise StoreError(message)
    if without_secrets(path) != path:
        message = (
            f"The reference {path!r} has credentials in its URL, which no run keeps; leave them out, and "
            "configure them for its store."
        )
        raise StoreError(message)
    if out is not None and (absolute_url(path) == absolute_url(out) or is_inside(path, out)):
        message = f"The reference {path!r} is where the run is to be stored; name another output path."
        raise StoreError(message)
    reference = open_complete(path)
    problem = find_problem(
        reference, path, "was itself compared with a reference; name a run of all that is known"
    )
    if not problem and reference.manifest.settings.outside_groups is not None:
        problem = "was scored with outside_groups, as no rows of others are; score it again without"
    if problem:
        message = f"The reference {path!r} {problem}."
        raise StoreError(message)
    return reference


def find_problem(run: StoredRun, path: str, of_reference: str) -> str:
    """Return why the rows of a complete run can't be compared with others; empty if they can.

    Parameters
    ----------
    run : StoredRun
    path : str
        Name of the run.
    of_reference : str
        The problem if it was itself compared with a reference.
    """
    manifest, made = run.manifest, run.manifest.identity.novelty_dask_version
    if manifest.identity.matrix:
        return "is of vectors, and only lines of text can be compared in this way; name a run of lines"
    if manifest.is_partial:
        return f"lacks tasks that were given up; `novelty resume {shell_quoted(path)}` does them"
    if manifest.reference:
        return of_reference
    if made != this_version():
        return f"was made by novelty_dask {made}, and this is {this_version()}; score it again"
    return ""


def describe_reference(stored: StoredRun, since: int | None = None) -> Reference:
    """Return what a run keeps of its reference.

    Parameters
    ----------
    stored : StoredRun
        The reference.
    since : int, optional
        Microseconds since 1970 from which on a row must have been seen to be known.

    Raises
    ------
    StoreError
        A commit of it is damaged.
    SettingsError
        Its rows have no times, or none was seen since.
    """
    manifest = stored.manifest
    assert manifest.plan
    return Reference(
        url=stored.url,
        content=_hash_content(stored),
        n_rows=manifest.plan.n_rows,
        block_rows=manifest.plan.block_rows,
        nonzeros=manifest.widest_block or 0,
        reading_bytes=manifest.memory[VECTORIZE.name],
        n_left=0 if since is None else int(find_left(stored, since).sum()),
    )


def find_left(stored: StoredRun, since: int) -> NDArray[np.bool_]:
    """Return which rows of a reference were last seen at a time or later; at least one was.

    Raises
    ------
    SettingsError
        Its rows have no times, or none was seen since.
    """
    plan = stored.manifest.plan
    assert plan
    if not plan.periods:
        message = (
            f"The reference {stored.url!r} has no times; score it with --time-column, or leave out --since."
        )
        raise SettingsError(message)
    arrays = stored.arrays(is_reference=True)
    bounds = map(plan.bounds, range(plan.n_blocks))
    is_left = np.concatenate([arrays.read("rows/last_seen", slice(*part)) >= since for part in bounds])
    if not is_left.any():
        message = f"No row of {stored.url!r} was seen since {format_time(since)}; name an earlier time."
        raise SettingsError(message)
    return is_left


def _hash_content(stored: StoredRun) -> str:
    """Return a hash of the identity of a run and of the checksums of all that it keeps."""
    manifest, commits = stored.manifest, stored.commits
    digest = hashlib.blake2b(manifest.identity.fingerprint.encode(), digest_size=16)
    for stage in LASTING_STAGES:
        for task in stage.tasks(manifest.shape):
            try:
                objects = commits.get(task).objects
            except DamageError as error:
                raise damaged_reference(stored.url, error) from None
            digest.update(json.dumps([task, objects], sort_keys=True).encode())
    return digest.hexdigest()


def adopt_settings(settings: Chosen, stored: StoredRun) -> Chosen:
    """Return settings with those of a reference, which none that was chosen may contradict.

    Raises
    ------
    SettingsError
        One does, or asks for groups, which are of rows that are compared with each other.
    """
    if settings.outside_groups is not None:
        message = (
            "Setting outside_groups is for rows that are compared with each other, and a reference compares "
            "them with its own alone; leave one of them out."
        )
        raise SettingsError(message)
    there = stored.manifest.settings
    for name in ADOPTED:
        value, known = getattr(settings, name), getattr(there, name)
        if name in settings.model_fields_set and value != known:
            message = (
                f"The reference {stored.url!r} was scored with {name}={known!r}, not {value!r}; leave the "
                "setting out, or name another reference."
            )
            raise SettingsError(message)
    return settings.model_copy(update={name: getattr(there, name) for name in ADOPTED})


def check_reference(run: StoredRun) -> None:
    """Refuse to go on with a run whose reference is gone, damaged or another one by now.

    Raises
    ------
    StoreError
        It is.
    """
    reference = run.manifest.reference
    for known in reference.each if reference else ():
        if describe_reference(find_again(run, known)).content != known.content:
            message = (
                f"The reference {known.url!r} of {run.url!r} has changed since the run was begun; score "
                "against it into another path."
            )
            raise StoreError(message)


def find_again(run: StoredRun, known: Reference) -> StoredRun:
    """Return a reference of a run.

    Raises
    ------
    StoreError
        It is gone, or can't be compared with any more.
    """
    try:
        return find_reference(known.url, None)
    except UnreachableError:
        raise
    except StoreError as error:
        message = (
            f"{str(error).rstrip('.')}; {run.url!r} is compared with it: restore it, or score again with "
            "--against its new path."
        )
        raise StoreError(message) from None


def joined_url(run: StoredRun) -> str:
    """Return where the rows of several references of a run are."""
    return run.joined_url or f"{run.url}/{REFERENCES_FOLDER.rstrip('/')}"


def open_reference(run: StoredRun) -> RunArrays:
    """Return the arrays of the reference of a run, or of the rows of all.

    Raises
    ------
    StoreError
        It is gone, or another run is in its place.
    """
    known = run.manifest.reference
    assert known
    if known.parts:
        # Whoever resumes the run mends them.
        reference = replace(open_repairable(joined_url(run)), url=run.url)
    else:
        reference = find_again(run, known)
    there = reference.manifest.plan
    if there is None or (there.n_rows, there.block_rows) != (known.n_rows, known.block_rows):
        message = f"The reference {known.url!r} of {run.url!r} is another run now; name it anew."
        raise StoreError(message)
    return reference.arrays(is_reference=True)
