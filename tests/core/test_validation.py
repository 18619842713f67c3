from pathlib import Path

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from lrgd.core.errors import InputError
from lrgd.core.validation import first_fault, input_checked


class Inner(BaseModel):
    paths: int


class Outer(BaseModel):
    settings: list[Inner]


def test_an_error_names_file_field_and_what_is_wrong() -> None:
    with (
        pytest.raises(InputError, match=r"^run\.json: settings\.0\.paths: Input should be a valid"),
        input_checked(Path("run.json"), "run"),
    ):
        Outer.model_validate({"settings": [{"paths": "many"}]})


def test_a_value_that_is_wrong_as_a_whole_has_a_name_too() -> None:
    with pytest.raises(InputError, match=r"^run\.json: run: "), input_checked("run.json", "run"):
        Outer.model_validate_json("{")
    with pytest.raises(InputError, match=r"^value: "), input_checked(None, "value"):
        TypeAdapter(int).validate_python("x")


def test_parts_that_a_reader_does_not_know_are_left_out() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"settings": [{"paths": "many"}]})
    assert first_fault(caught.value, "body", skipped=2).startswith("paths: ")
    assert first_fault(caught.value, "body", skipped=9).startswith("body: ")


def test_other_errors_and_values_pass() -> None:
    with input_checked("f", "value"):
        assert TypeAdapter(int).validate_python("3") == 3
    with pytest.raises(KeyError), input_checked("f", "value"):
        raise KeyError("x")
