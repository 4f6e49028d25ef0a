"""Reading the fields of records of published annotations, with errors that name file, record and field."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as shortened

from sdmetrics.errors import InputError


def as_record(record: object, where: str) -> Mapping[str, object]:
    """Return `record` if it has named fields; `where` names it for errors.

    Raises
    ------
    InputError
        If it does not.

    Examples
    --------
    >>> as_record(5, "list.json, record [1],")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: list.json, record [1], is 5; expected a record with named fields. Correct or remove it
    """
    if not isinstance(record, dict):
        raise InputError(f"{where} is {shortened(record)}; expected a record with named fields. Correct or remove it")
    return record


def text_of(record: Mapping[str, object], field: str, where: str) -> str:
    """Return the text in a field.

    Raises
    ------
    InputError
        If the field is missing, empty or not a text.

    Examples
    --------
    >>> text_of({"label": "wave"}, "label", "list.json, record [1],")
    'wave'
    """
    value = record.get(field)
    if not isinstance(value, str) or not value:
        raise wrong_field(where, field, value, "a text that is not empty")
    return value


def number_of(record: Mapping[str, object], field: str, where: str) -> int:
    """Return the whole number in a field.

    Raises
    ------
    InputError
        If the field is missing or not a whole number.

    Examples
    --------
    >>> number_of({"id": 7}, "id", "list.json, record [1],")
    7
    """
    value = record.get(field)
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong_field(where, field, value, "a whole number")
    return value


def list_of(record: Mapping[str, object], field: str, where: str, of: str) -> list[object]:
    """Return the list in a field; `of` describes its items for errors.

    Raises
    ------
    InputError
        If the field is missing or not a list.

    Examples
    --------
    >>> list_of({"videos": [1]}, "videos", "list.json", "videos")
    [1]
    """
    value = record.get(field)
    if not isinstance(value, list):
        raise wrong_field(where, field, value, f"a list of {of}")
    return value


def wrong_field(where: str, field: str, value: object, expected: str) -> InputError:
    """Return the error for a field that is missing or wrong.

    Examples
    --------
    >>> raise wrong_field("list.json, record [1],", "label", None, "a text")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: list.json, record [1], has no label; expected a text. Correct or remove the record
    """
    has = f"no {field}" if value is None else f"the {field} {shortened(value)}"
    return InputError(f"{where} has {has}; expected {expected}. Correct or remove the record")
