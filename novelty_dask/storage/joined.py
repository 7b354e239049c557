"""Several references as one: a run within the run that is compared with them, which holds the rows of all.

It is a run like any other, but nothing in it is compared, and it is removed once it is needed no more.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from novelty_dask.errors import SettingsError, StoreError, UnreachableError
from novelty_dask.kernels.choices import MEMORY
from novelty_dask.planning.stages import VECTORIZE, WEIGH
from novelty_dask.settings import ResultSettings
from novelty_dask.storage.audit import find_altered, find_damage, find_missing
from novelty_dask.storage.identity import RunIdentity
from novelty_dask.storage.references import (
    ADOPTED,
    Chosen,
    adopt_settings,
    check_reference,
    describe_reference,
    find_again,
    find_reference,
    joined_url,
)
from novelty_dask.storage.runs import REFERENCES_FOLDER, StoredRun, begin_run, find_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from novelty_dask.sources.find import Source
    from novelty_dask.storage.totals import Reference


def adopt_references(paths: Sequence[str], out: str | None, settings: Chosen) -> tuple[Chosen, Reference]:
    """Return settings with those of references, and what a run keeps of these.

    Parameters
    ----------
    paths : sequence of str
        Paths or URLs of the references, at least one.
    out : str or None
        Where the run is to be stored that is compared with them.
    settings : ResultSettings

    Raises
    ------
    StoreError, SettingsError
        One is no reference, or its rows can't be compared with those of the others, or with new ones.
    """
    if settings.since is not None and len(paths) > 1:
        message = "A time since which rows are known is for one reference; name one, or leave out since."
        raise SettingsError(message)
    references = [find_reference(path, out) for path in paths]
    for other in references[1:]:
        _check_alike(references[0], other)
    described = [describe_reference(each, settings.since_time) for each in references]
    return adopt_settings(settings, references[0]), _join(described)


def _check_alike(first: StoredRun, other: StoredRun) -> None:
    """Refuse references of other features, columns, normal forms or numbers of neighbors."""
    for name in ADOPTED:
        here, there = (getattr(run.manifest.settings, name) for run in (first, other))
        if here != there:
            message = (
                f"The references {first.url!r} and {other.url!r} were scored with {name}={here!r} and "
                f"{name}={there!r}; score one of them again, or name one alone."
            )
            raise SettingsError(message)


def _join(parts: Sequence[Reference]) -> Reference:
    """Return what a run keeps of its references; its numbers are the largest that their rows can have."""
    # By their contents, so that the bytes of the run don't depend on the order in which they are named, nor
    # on how often.
    distinct = {part.content: part for part in parts}
    parts = [distinct[content] for content in sorted(distinct)]
    if len(parts) == 1:
        return parts[0]
    contents = "".join(part.content for part in parts)
    joined = {
        "url": ", ".join(part.url for part in parts),
        "content": hashlib.blake2b(contents.encode(), digest_size=16).hexdigest(),
        "n_rows": sum(part.n_rows for part in parts),
        "parts": tuple(parts),
    }
    numbers = ("block_rows", "nonzeros", "reading_bytes")
    largest = {name: max(getattr(part, name) for part in parts) for name in numbers}
    return parts[0].model_copy(update={**joined, **largest})


def lacks_references(run: StoredRun) -> bool:
    """Return whether the rows of several references are needed to go on with a run."""
    return run.manifest.is_joined and (not run.manifest.is_complete or any(find_missing(run)))


def begin_joined(run: StoredRun, source: Source) -> StoredRun:
    """Return the run of the rows of all references of a run, as far as it is made; begin it if it is not.

    Parameters
    ----------
    run : StoredRun
    source : Source
        What stands for the rows.

    Raises
    ------
    StoreError
        One of the references is gone, damaged or another one by now.
    """
    check_reference(run)
    joined = _find_sound(run)
    if joined is None:
        there = run.manifest.settings
        settings = ResultSettings(input_format=MEMORY, **{name: getattr(there, name) for name in ADOPTED})
        identity = RunIdentity(settings=settings, sources=(source,))
        joined = begin_run(joined_url(run), identity, is_part=True)
    return joined


def _find_sound(run: StoredRun) -> StoredRun | None:
    """Return the run of the rows of all references, if there is one; remove one that is damaged."""
    try:
        found = find_run(joined_url(run))
        if found is None or not (any(find_altered(found)) or any(find_damage(found))):
            return found
    except UnreachableError:
        raise
    except StoreError:
        pass
    # It can be made anew, which is simpler than to mend it.
    run.objects.remove(REFERENCES_FOLDER)
    return None


def is_prepared(joined: StoredRun) -> bool:
    """Return whether rows can be compared with those of a run that holds them."""
    return joined.manifest.has(WEIGH)


def read_texts(run: StoredRun) -> Iterator[str]:
    """Yield the texts of the rows of all references of a run, one reference after the other."""
    known = run.manifest.reference
    assert known
    for part in known.parts:
        stored = find_again(run, part)
        plan, arrays = stored.manifest.plan, stored.arrays(is_reference=True)
        assert plan
        for block in range(plan.n_blocks):
            yield from arrays.read("rows/url", slice(*plan.bounds(block))).tolist()


def adopt_joined(run: StoredRun, joined: StoredRun) -> None:
    """Keep in a run the numbers of the rows that its references have together."""
    known, manifest = run.manifest.reference, joined.manifest
    assert known
    assert manifest.plan
    numbers = {
        "n_rows": manifest.plan.n_rows,
        "block_rows": manifest.plan.block_rows,
        "nonzeros": manifest.widest_block or 0,
        "reading_bytes": manifest.memory[VECTORIZE.name],
    }
    run.manifest.move_reference(known.model_copy(update=numbers))
    run.save()


def name_again(run: StoredRun, given: Reference | None) -> None:
    """Take over the places of the references of a run as they are named now, if they are."""
    known = run.manifest.reference
    if given and known:
        # The content is the same, and so are all numbers but those of rows that were joined meanwhile.
        named = known.model_copy(update={"url": given.url, "parts": given.parts})
        if named != known:
            run.manifest.move_reference(named)
            run.save()
