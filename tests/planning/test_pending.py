from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from novelty_dask.planning.pending import pending_tasks
from novelty_dask.planning.shapes import RunShape
from novelty_dask.planning.stages import Stage, TaskId

Task = tuple[str, str]
SHAPE = RunShape(n_features=1, n_neighbors=1)


def stages(**inputs: dict[str, list[Task]]) -> list[Stage]:
    """Stages of items, each with what it needs."""

    def of(name: str, needs: dict[str, list[Task]]) -> Stage:
        return Stage(
            name,
            items=lambda _shape: list(needs),
            inputs=lambda _shape, item: [TaskId(*task) for task in needs[item]],
            task_bytes=lambda _budget, _load: 0,
        )

    return [of(name, needs) for name, needs in inputs.items()]


CHAIN = stages(
    a={"1": [], "2": []},
    b={"1": [("a", "1")], "2": [("a", "2"), ("b", "1")]},
    c={"all": [("b", "1"), ("b", "2")]},
)


def test_all_is_needed_of_a_run_of_which_nothing_is_done() -> None:
    assert pending_tasks(CHAIN, SHAPE, {"c"}, {}) == {"a": ["1", "2"], "b": ["1", "2"], "c": ["all"]}


def test_nothing_is_needed_of_a_complete_run_whatever_was_removed() -> None:
    assert pending_tasks(CHAIN, SHAPE, {"c"}, {"c": {"all"}}) == {"a": [], "b": [], "c": []}


def test_what_is_done_is_not_needed_nor_what_only_leads_to_it() -> None:
    assert pending_tasks(CHAIN, SHAPE, {"c"}, {"b": {"1"}}) == {"a": ["2"], "b": ["2"], "c": ["all"]}
    assert pending_tasks(CHAIN, SHAPE, {"c"}, {"b": {"2"}}) == {"a": ["1"], "b": ["1"], "c": ["all"]}
    assert pending_tasks(CHAIN, SHAPE, {"c"}, {"a": {"1", "2"}}) == {"a": [], "b": ["1", "2"], "c": ["all"]}


def test_what_is_wanted_is_needed_though_nothing_else_needs_it() -> None:
    done = {"c": {"all"}, "b": {"1"}}
    assert pending_tasks(CHAIN, SHAPE, {"b", "c"}, done) == {"a": ["2"], "b": ["2"], "c": []}
    assert pending_tasks(CHAIN, SHAPE, {"a"}, done) == {"a": ["1", "2"], "b": [], "c": []}
    assert pending_tasks(CHAIN, SHAPE, set(), {}) == {"a": [], "b": [], "c": []}


def test_what_is_done_of_no_plan_does_not_matter() -> None:
    assert pending_tasks(CHAIN, SHAPE, {"c"}, {"c": {"all", "9"}, "z": {"1"}}) == {"a": [], "b": [], "c": []}


def items_of(stage: Stage) -> Sequence[str]:
    return stage.items(SHAPE) or ()


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[Stage], set[str], dict[str, set[str]]]:
    """Stages whose items need earlier ones, what is wanted, and what is done."""
    earlier: list[Task] = []
    made: dict[str, dict[str, list[Task]]] = {}
    for name in "abcd"[: draw(st.integers(1, 4))]:
        made[name] = {}
        for item in map(str, range(draw(st.integers(0, 5)))):
            needs = draw(st.lists(st.sampled_from(earlier), max_size=4)) if earlier else []
            made[name][item] = needs
            earlier.append((name, item))
    done = {name: {item for item in made[name] if draw(st.booleans())} for name in made}
    return stages(**made), draw(st.sets(st.sampled_from(sorted(made)))), done


@given(graphs())
def test_needed_is_what_a_recursive_definition_says(
    graph: tuple[list[Stage], set[str], dict[str, set[str]]],
) -> None:
    made, wanted, done = graph
    inputs = {
        (stage.name, item): list(stage.inputs(SHAPE, item)) for stage in made for item in items_of(stage)
    }

    def need(task: Task) -> set[Task]:
        if task[1] in done[task[0]]:
            return set()
        return {task}.union(*map(need, inputs[task]))

    expected = set[Task]().union(*(need(task) for task in inputs if task[0] in wanted))
    found = pending_tasks(made, SHAPE, wanted, done)
    assert {(name, item) for name, items in found.items() for item in items} == expected
    assert found == {
        stage.name: [item for item in items_of(stage) if (stage.name, item) in expected] for stage in made
    }
