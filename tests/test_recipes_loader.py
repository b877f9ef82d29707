"""The YAML loader: YAML 1.2 scalars, no duplicate keys, line numbers, and nothing but plain data."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galshift.errors import ConfigError
from galshift.recipes.loader import load_file, load_text, parse_scalar


@pytest.mark.parametrize(
    ("text", "value"),
    [
        # What YAML 1.1 would have made of it stands in the comment.
        ("1e-3", 1e-3),  # '1e-3'
        ("12:30:00", "12:30:00"),  # 45000
        ("012", 12),  # 10
        ("off", "off"),  # False
        ("no", "no"),  # False
        ("on", "on"),  # True
        ("2024-01-01", "2024-01-01"),  # a date
        ("1_000", "1_000"),  # 1000
        ("0o17", 15),
        ("0x1F", 31),
        (".5", 0.5),
        ("-1.", -1.0),
        ("+7", 7),
        ("1E5", 1e5),
        ("true", True),
        ("null", None),
        ("~", None),
        ("''", ""),
        ("'1'", "1"),
        ("<<", "<<"),
        ("=", "="),
    ],
)
def test_scalars_are_those_of_yaml_1_2(text: str, value: object) -> None:
    found = load_text(f"key: {text}").data["key"]
    assert found == value
    assert type(found) is type(value)


def test_special_floats() -> None:
    data = load_text("[.inf, -.Inf, .nan]").data
    assert data[:2] == [math.inf, -math.inf]
    assert math.isnan(data[2])


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(
        st.characters(
            min_codepoint=32, exclude_categories=["Cs", "Cc"], exclude_characters="\u2028\u2029\ufeff"
        )
    ),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abcdefgh_-", min_size=1), inner, max_size=4)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(PLAIN)
def test_json_is_read_as_json_reads_it(value: object) -> None:
    # JSON is a subset of YAML 1.2, so that the json module is an independent reader.
    text = json.dumps(value, ensure_ascii=False)
    assert load_text(text).data == json.loads(text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_any_text_gives_data_or_a_config_error(text: str) -> None:
    # Anything but a ConfigError fails the test.
    with contextlib.suppress(ConfigError):
        load_text(text)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta"]), min_size=1, max_size=6))
def test_every_repeated_key_is_reported_with_its_line(keys: list[str]) -> None:
    text = "".join(f"{key}: {number}\n" for number, key in enumerate(keys))
    repeated = [number + 1 for number, key in enumerate(keys) if key in keys[:number]]
    if not repeated:
        assert list(load_text(text).data) == keys
        return
    with pytest.raises(ConfigError) as caught:
        load_text(text, "r.yaml")
    assert [problem.split("  ")[0] for problem in caught.value.problems] == [
        f"r.yaml:{line}" for line in repeated
    ]


def test_lines_are_kept_for_every_key_and_item() -> None:
    document = load_text("a: 1\nb:\n  c:\n    - x\n    - y: {z: 3}\n")
    assert document.line(("a",)) == 1
    assert document.line(("b", "c")) == 3
    assert document.line(("b", "c", 0)) == 4
    assert document.line(("b", "c", 1, "y", "z")) == 5
    assert document.line(("b", "c", 1, "nothing")) == 5
    assert document.line(("nothing",)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "x: !!python/object/apply:os.system ['true']",
        "!!python/name:os.system",
        "x: !custom 1",
        "&a [*a]",
        "x: " + "9" * 5000,
        '"\\ud800"',
        "? [1, 2]\n: 3",
        "a: [",
        "a: b: c",
        "\tx: 1",
        "%YAML 9.9\n---\na: 1",
        "a: 1\n---\nb: 2",
    ],
)
def test_code_tags_loops_and_bad_syntax_are_refused(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_text(text, "r.yaml")
    assert "r.yaml" in f"{caught.value} {caught.value.problems}"


def test_a_reference_inside_braces_is_explained() -> None:
    with pytest.raises(ConfigError, match="needs quotes"):
        load_text("steps:\n  a: {uses: train, data: ${b}}\n", "r.yaml")


def test_a_missing_or_binary_file_is_a_config_error(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_file(tmp_path / "nothing.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        load_file(tmp_path / "binary.yaml")


def test_aliases_of_aliases_are_refused_quickly() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match="more than"):
        load_text("\n".join(lines))


def test_deep_nesting_does_not_crash() -> None:
    with pytest.raises(ConfigError):
        load_text("[" * 5000 + "]" * 5000)


@pytest.mark.parametrize(
    ("text", "value"), [("1e-3", 1e-3), ("[a, 2]", ["a", 2]), ("a: b: c", "a: b: c"), ("", None)]
)
def test_set_values_are_yaml_and_else_text(text: str, value: object) -> None:
    assert parse_scalar(text) == value
