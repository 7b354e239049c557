import json
import os
import threading
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dask.utils import byte_sizes
from dask.utils import parse_bytes as dask_bytes
from hypothesis import assume, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from novelty_dask.errors import SettingsError
from novelty_dask.kernels.choices import FeatureSet
from novelty_dask.planning.quantities import LARGEST_SIZE, parse_bytes
from novelty_dask.settings import ResultSettings, Settings, WorkSettings


def refused(**values: Any) -> str:
    """Why settings are refused."""
    with pytest.raises(SettingsError) as refusal:
        Settings.make(**values)
    return str(refusal.value)


def test_defaults_are_valid_and_frozen() -> None:
    settings = Settings.make()
    assert settings == Settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.n_neighbors = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("size", "n_bytes"),
    [
        ("2 GB", 2 * 10**9),
        ("2GiB", 2**31),
        (" 1.5 kB ", 1_500),
        ("512MiB", 512 * 2**20),
        ("7", 7),
        ("7b", 7),
        ("0.5tb", 5 * 10**11),
        ("2G", 2 * 10**9),
        ("2gi", 2**31),
        ("1e9", 10**9),
        ("1.5E+3 kB", 1_500_000),
        ("1 PB", 10**15),
        ("GB", 10**9),
        (7, 7),
        (None, None),
    ],
)
def test_sizes(size: object, n_bytes: int | None) -> None:
    assert parse_bytes(size) == n_bytes
    assert Settings.make(memory_limit=size).memory_limit == n_bytes


@pytest.mark.parametrize(
    "size",
    ["", "-1 GB", "1,5 GB", "1 XB", "0 XB", "e9", "nan", "inf", "2 GB\n3", "\uff12 GB"],
)
def test_what_is_no_size_is_refused(size: str) -> None:
    assert refused(memory_limit=size).endswith(" is not a size; write for example '2 GB' or '512MiB'.")


@pytest.mark.parametrize("size", ["1e99", "1" * 99])
def test_sizes_of_no_machine_are_refused(size: str) -> None:
    sentence = refused(memory_limit=size)
    assert sentence.endswith(" is more than any machine has; write for example '2 GB' or '512MiB'.")


@given(
    st.from_regex(r"[0-9]{1,6}(\.[0-9]{0,6})?([eE][+-]?[0-9])?", fullmatch=True) | st.just(""),
    st.sampled_from(["", " ", "  "]),
    st.sampled_from([*byte_sizes, *map(str.upper, byte_sizes)]),
)
def test_sizes_are_those_of_dask(number: str, space: str, unit: str) -> None:
    assume(number or unit)
    size = f"{number}{space}{unit}"
    assume(dask_bytes(size) < LARGEST_SIZE)
    assert parse_bytes(size) == dask_bytes(size)


@given(st.text("0123456789.eEkKmMgGiIbBp +-_", max_size=9))
def test_no_size_means_another_number_than_to_dask(size: str) -> None:
    with suppress(ValueError):
        assert parse_bytes(size) == dask_bytes(size)


@pytest.mark.parametrize("ngram_range", [(2, 4), [2, 4], "2,4", " 2 , 4 ", ("2", "4")])
def test_ranges(ngram_range: object) -> None:
    assert Settings.make(features="ngrams", ngram_range=ngram_range).ngram_range == (2, 4)


def test_each_set_of_features_has_settings_of_its_own() -> None:
    assert Settings() == Settings.make(features="url")
    url, ngrams = Settings(), Settings.make(features="ngrams")
    assert (url.ngram_range, url.n_features, url.normal_form) == (None, 2**22, "page")
    assert (ngrams.ngram_range, ngrams.n_features, ngrams.normal_form) == ((3, 3), 2**20, "raw")
    chosen = Settings.make(n_features=64, normal_form="web")
    assert (chosen.n_features, chosen.normal_form) == (64, "web")
    for chosen_too in ({"features": "url"}, {}):
        assert refused(**chosen_too, ngram_range="3,3") == (
            "Setting ngram_range='3,3': is for features='ngrams'; choose them too, or leave it out."
        )
    assert refused(features="words").startswith("Setting features='words': ")


@pytest.mark.parametrize("features", ["ngrams", "url"])
def test_settings_of_features_are_read_as_they_were_written(features: FeatureSet) -> None:
    settings = Settings(features=features).result
    assert ResultSettings(**json.loads(settings.model_dump_json())) == settings


@pytest.mark.parametrize(
    "ngram_range",
    ["4,2", (0, 1), (-1, 3), (1, 17), "3", "3,", "a,b", "1,2,3", 3, "", {2, 4}, {2: 3, 4: 5}],
)
def test_impossible_ranges_are_refused(ngram_range: object) -> None:
    said = refused(features="ngrams", ngram_range=ngram_range)
    assert said.startswith("Setting ngram_range=")
    assert "choose them" not in said


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("n_neighbors", [1, 1_000, "10"], [0, 1_001, -1, 1.5, "ten", None, float("nan"), float("inf"), [1]]),
        ("n_features", [1, 3, 2**24], [0, 2**24 + 1, "2**20", None]),
        ("normal_form", ["raw", "web"], ["RAW", None]),
        ("block_rows", [None, 1, 2**20], [0, -1, 2**20 + 1, "all"]),
        ("memory_limit", [None, 1, "1 GB"], [0, -1, "0.1", float("nan"), "0 GB"]),
        ("workers", [None, 0, 10_000], [-1, 10_001, "many"]),
        ("threads", [1, 1_024], [0, 1_025, None]),
        ("scheduler", [None, "tcp://127.0.0.1:8786", " a "], ["", " ", 8786, ["tcp://127.0.0.1:8786"]]),
        ("scheduler_file", [None, "scheduler.json"], ["", " ", 8786]),
        ("cluster", [None, "cluster.yaml"], ["", " ", 8786]),
        ("certs", [None, "certs"], ["", " ", 8786]),
        ("performance_report", [None, "report.html"], ["", 8786]),
    ],
)
def test_each_setting_has_its_bounds(name: str, good: list[object], bad: list[object]) -> None:
    for value in good:
        Settings.make(**{name: value})
    for value in bad:
        message = refused(**{name: value})
        assert message.startswith(f"Setting {name}=")
        assert message.endswith(".")


@pytest.mark.parametrize(
    "name", sorted(Settings.model_fields.keys() - {"strict", "remote", "insecure", "unwrap", "refang"})
)
@pytest.mark.parametrize("value", [True, False])
def test_no_other_setting_is_a_truth_value(name: str, value: bool) -> None:
    assert refused(**{name: value}).startswith(f"Setting {name}={value}: ")


def test_further_columns_are_kept_beside_one_that_is_scored() -> None:
    assert Settings.make(column=2, keep=[1, "x"]).keep == ("1", "x")
    assert "name the one to score" in refused(keep=["a"])
    assert "names a column twice" in refused(column="a", keep=["b", "b"])
    assert refused(column="a", keep=[]).startswith("Setting keep=[]: ")
    assert Settings.make(input_format="log", keep=["status"]).keep == ("status",)
    assert "method and status alone" in refused(input_format="log", keep=["agent"])


@pytest.mark.parametrize("value", [1, "yes", None])
def test_a_truth_value_is_nothing_else(value: object) -> None:
    assert Settings.make(strict=True).strict
    assert refused(strict=value).startswith(f"Setting strict={value!r}: ")


def test_an_integer_that_python_does_not_print_is_refused() -> None:
    assert refused(n_neighbors=10**5_000).startswith("Setting n_neighbors=<int>: ")


def test_unknown_settings_are_named_with_those_that_are_known() -> None:
    message = refused(n_neighbours=3)
    assert message.startswith("Unknown setting 'n_neighbours'; known are input_format, column, host, keep, ")
    assert refused(cls=1).startswith("Unknown setting 'cls'; ")
    assert refused(model_config=1).startswith("Unknown setting 'model_config'; ")


@pytest.mark.parametrize(
    ("score", "use"),
    [
        ("mean", "use column 'novelty'."),
        ("nearest", "use column 'novelty_nearest'."),
        ("kth", "use column 'novelty_kth'."),
        ("median", "use one of the columns novelty, novelty_nearest, novelty_kth."),
        (None, "use one of the columns novelty, novelty_nearest, novelty_kth."),
        (["kth"], "use one of the columns novelty, novelty_nearest, novelty_kth."),
    ],
)
def test_the_score_of_earlier_versions_names_the_column_that_holds_it(score: object, use: str) -> None:
    message = refused(score=score)
    assert message.startswith("There is no setting score, as a run stores ")
    assert message.endswith(f"; leave it out, and {use}")


def test_only_what_changes_numbers_belongs_to_the_result() -> None:
    assert Settings().result == ResultSettings()
    work = {"block_rows": 5, "memory_limit": "1 GB", "workers": 3, "threads": 2, "scheduler": "tcp://a:1"}
    work |= {"strict": True, "remote": True, "scheduler_file": None, "cluster": None, "certs": "certs"}
    work |= {"insecure": True, "performance_report": "report.html"}
    assert work.keys() == WorkSettings.model_fields.keys()
    assert Settings.make(**work).result == Settings().result
    assert Settings.make(**work).work == WorkSettings.make(**work)
    assert Settings.make(features="ngrams", ngram_range="2,4").result.ngram_range == (2, 4)
    assert [*ResultSettings.model_fields, *WorkSettings.model_fields] == [*Settings.model_fields]


@pytest.mark.parametrize("name", ResultSettings.model_fields)
def test_what_belongs_to_a_run_is_no_setting_of_the_work(name: str) -> None:
    with pytest.raises(SettingsError, match=rf"^Setting {name} belongs to the run and can't change; score "):
        WorkSettings.make(**{name: getattr(Settings(), name)})


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.text(st.sampled_from("0123456789.,-GgMiBb \n٣"), max_size=12)
    | st.binary(max_size=9)
    | st.sampled_from(["mean", "raw", 10**4_000, np.zeros((9, 9)), object(), "x" * 10_000, float]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=2)
    ),
    max_leaves=5,
)


@hypothesis_settings(deadline=None, max_examples=500)
@given(
    st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), VALUES, max_size=4),
    st.dictionaries(st.text() | st.sampled_from(["cls", "path", "self"]), VALUES, max_size=1),
)
@example({"n_neighbors": np.zeros((9, 9))}, {})
@example({}, {"x\n" * 1_000: 1})
def test_any_values_are_valid_or_refused_in_one_short_line(
    known: dict[str, Any], unknown: dict[str, Any]
) -> None:
    try:
        made = Settings.make(**{**known, **unknown})
    except SettingsError as error:
        assert_one_short_line(str(error), {**known, **unknown})
    else:
        assert Settings.make(**made.model_dump()) == made


@hypothesis_settings(deadline=None, max_examples=200)
@given(st.sampled_from(sorted(Settings.model_fields)), VALUES)
def test_any_value_of_a_setting_is_valid_or_refused_by_its_name(name: str, value: Any) -> None:
    message = f"Setting {name}="
    try:
        Settings.make(**{name: value})
    except SettingsError as error:
        message = str(error)
    assert message.startswith(f"Setting {name}=")


def assert_one_short_line(message: str, values: dict[str, Any]) -> None:
    """The message names one of the values, or begins to."""
    assert message.isprintable()
    assert message[-1] == "."
    assert len(message) < 400
    if not message.startswith("Unknown setting "):
        assert any(message.startswith(f"Setting {name}=") for name in values)


# Files.


def file(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "settings.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_a_file_gives_settings_and_arguments_take_precedence(tmp_path: Path) -> None:
    path = file(
        tmp_path, 'n_neighbors = 5\nfeatures = "ngrams"\nngram_range = [2, 4]\nmemory_limit = "2 GB"\n'
    )
    expected = Settings(n_neighbors=5, features="ngrams", ngram_range=(2, 4), memory_limit=2 * 10**9)
    assert Settings.read(path) == Settings.read(str(path)) == expected
    assert Settings.read(path, n_neighbors=3).n_neighbors == 3
    assert Settings.read(file(tmp_path, "")) == Settings()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("n_neighbors = 0", "Setting n_neighbors=0: "),
        ("n_neigbors = 5", "Unknown setting 'n_neigbors'; "),
        ("cls = 5", "Unknown setting 'cls'; "),
        ("path = 5", "Unknown setting 'path'; "),
        ("[settings]\nn_neighbors = 5", "Unknown setting 'settings'; "),
        ("n_neighbors = nan", "Setting n_neighbors=nan: "),
        ("scheduler = 2020-01-01", "Setting scheduler=datetime.date(2020, 1, 1): "),
    ],
)
def test_faults_of_a_file_are_those_of_settings(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.read(file(tmp_path, content))
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize(
    "content",
    [
        "n_neighbors",
        "n_neighbors = 5\nn_neighbors = 6",
        "a = " + "1" * 5_000,
        "a = " + "[" * 5_000,
        b"a = '\xff'",
        b"\xff\xfea",
        b"a\0",
    ],
    ids=["no value", "twice", "digits", "deep", "invalid", "utf-16", "nul"],
)
def test_what_is_no_toml_is_named(tmp_path: Path, content: str | bytes) -> None:
    with pytest.raises(SettingsError, match=r"^The settings file '.*settings\.toml' is not TOML: .*\.$"):
        Settings.read(file(tmp_path, content))
    with pytest.raises((ValueError, RecursionError)):
        tomllib.loads((tmp_path / "settings.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("name", "reason"), [("missing.toml", "No such file or directory"), ("", "Is a directory")]
)
def test_what_is_no_file_is_named(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(
        SettingsError, match=rf"^Can't read the settings file '{tmp_path / name}': {reason}\.$"
    ):
        Settings.read(tmp_path / name)


TOML_VALUES = st.recursive(
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=20)
    | st.sampled_from(["mean", "raw", "2 GB", "3,5", "tcp://127.0.0.1:8786"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


def toml(value: Any) -> str:
    """A value as TOML has it."""
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    return json.dumps(value) if isinstance(value, str) else str(value).lower()


@hypothesis_settings(deadline=None, max_examples=200)
@given(st.dictionaries(st.sampled_from(sorted(Settings.model_fields)), TOML_VALUES, max_size=4))
def test_any_values_in_a_file_are_those_of_settings(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    path = file(
        folder(tmp_path_factory), "".join(f"{name} = {toml(each)}\n" for name, each in values.items())
    )
    try:
        made = Settings.read(path)
    except SettingsError as error:
        assert_one_short_line(str(error), values)
    else:
        assert made == Settings.make(**values)


@hypothesis_settings(deadline=None, max_examples=300)
@given(
    st.binary(max_size=200)
    | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass"))
    | st.lists(
        st.sampled_from(["n_neighbors", "score", " = ", "3", "[", "]", '"', "\n", "#", ".", "{", "mean"])
    )
    .map("".join)
    .map(str.encode)
)
def test_any_file_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    message = "Setting "
    try:
        Settings.read(file(folder(tmp_path_factory), content))
    except SettingsError as error:
        message = str(error)
    assert message.startswith(("Setting ", "Unknown setting ", "The settings file ", "There is no setting "))


def folder(factory: pytest.TempPathFactory) -> Path:
    """One folder for all examples."""
    path = factory.getbasetemp() / "settings"
    path.mkdir(exist_ok=True)
    return path


def test_a_mark_of_utf8_is_no_part_of_a_file(tmp_path: Path) -> None:
    assert Settings.read(file(tmp_path, b"\xef\xbb\xbfn_neighbors = 5\r\n")).n_neighbors == 5


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="there is no /dev/zero")
def test_an_endless_file_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"^The settings file '/dev/zero' is not TOML: it has more than "):
        Settings.read("/dev/zero")


def test_a_pipe_is_a_file_of_settings(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_text, args=("n_neighbors = 5",))
    writer.start()
    assert Settings.read(tmp_path / "pipe").n_neighbors == 5
    writer.join()


@pytest.mark.parametrize("name", ["a\0b", "x" * 5_000, "\x1b[31m", "\udcff"])
def test_what_no_file_can_be_called_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"settings file '") as refusal:
        Settings.read(tmp_path / name)
    assert str(refusal.value).isprintable()
