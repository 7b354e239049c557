from collections.abc import Callable, Iterable

from hypothesis import given
from hypothesis import strategies as st

from novelty_dask.planning.pending import StageItems, needed_items

Task = tuple[str, str]


def stages(**inputs: dict[str, list[Task]]) -> list[StageItems]:
    """Stages of items, each with what it needs."""

    def of(needs: dict[str, list[Task]]) -> Callable[[str], Iterable[Task]]:
        return lambda item: needs[item]

    return [StageItems(name, list(needs), of(needs)) for name, needs in inputs.items()]


CHAIN = stages(
    a={"1": [], "2": []},
    b={"1": [("a", "1")], "2": [("a", "2"), ("b", "1")]},
    c={"all": [("b", "1"), ("b", "2")]},
)


def test_all_is_needed_of_a_run_of_which_nothing_is_done() -> None:
    assert needed_items(CHAIN, {"c"}, {}) == {"a": ["1", "2"], "b": ["1", "2"], "c": ["all"]}


def test_nothing_is_needed_of_a_complete_run_whatever_was_removed() -> None:
    assert needed_items(CHAIN, {"c"}, {"c": {"all"}}) == {"a": [], "b": [], "c": []}


def test_what_is_done_is_not_needed_nor_what_only_leads_to_it() -> None:
    assert needed_items(CHAIN, {"c"}, {"b": {"1"}}) == {"a": ["2"], "b": ["2"], "c": ["all"]}
    assert needed_items(CHAIN, {"c"}, {"b": {"2"}}) == {"a": ["1"], "b": ["1"], "c": ["all"]}
    assert needed_items(CHAIN, {"c"}, {"a": {"1", "2"}}) == {"a": [], "b": ["1", "2"], "c": ["all"]}


def test_what_is_wanted_is_needed_though_nothing_else_needs_it() -> None:
    done = {"c": {"all"}, "b": {"1"}}
    assert needed_items(CHAIN, {"b", "c"}, done) == {"a": ["2"], "b": ["2"], "c": []}
    assert needed_items(CHAIN, {"a"}, done) == {"a": ["1", "2"], "b": [], "c": []}
    assert needed_items(CHAIN, set(), {}) == {"a": [], "b": [], "c": []}


def test_what_is_done_of_no_plan_does_not_matter() -> None:
    assert needed_items(CHAIN, {"c"}, {"c": {"all", "9"}, "z": {"1"}}) == {"a": [], "b": [], "c": []}


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[StageItems], set[str], dict[str, set[str]]]:
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
    graph: tuple[list[StageItems], set[str], dict[str, set[str]]],
) -> None:
    made, wanted, done = graph
    inputs = {(stage.name, item): list(stage.inputs(item)) for stage in made for item in stage.items}

    def need(task: Task) -> set[Task]:
        if task[1] in done[task[0]]:
            return set()
        return {task}.union(*map(need, inputs[task]))

    expected = set[Task]().union(*(need(task) for task in inputs if task[0] in wanted))
    found = needed_items(made, wanted, done)
    assert {(name, item) for name, items in found.items() for item in items} == expected
    assert found == {
        stage.name: [item for item in stage.items if (stage.name, item) in expected] for stage in made
    }
