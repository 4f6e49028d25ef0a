"""Records of published annotations: their fields, and errors that name file, record and field."""

from __future__ import annotations

from collections.abc import Mapping
from reprlib import repr as shortened

from sdmetrics.errors import InputError


def as_record(record: object, where: str) -> Mapping[str, object]:
    """Return a record that has fields; `where` names it for errors.

    Raises
    ------
    InputError
        If it has none.

    Examples
    --------
    >>> as_record(5, "list.json, record [1],")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: list.json, record [1], is 5; allowed: a record with named fields. Correct or remove it
    """
    if not isinstance(record, dict):
        raise InputError(f"{where} is {shortened(record)}; allowed: a record with named fields. Correct or remove it")
    return record


def text_of(record: Mapping[str, object], field: str, where: str) -> str:
    """Return a field that is a text.

    Raises
    ------
    InputError
        If it is missing, empty or no text.

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
    """Return a field that is a whole number.

    Raises
    ------
    InputError
        If it is missing or none.

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
    """Return a field that is a list; `of` says what it lists.

    Raises
    ------
    InputError
        If it is missing or no list.

    Examples
    --------
    >>> list_of({"videos": [1]}, "videos", "list.json", "videos")
    [1]
    """
    value = record.get(field)
    if not isinstance(value, list):
        raise wrong_field(where, field, value, f"a list of {of}")
    return value


def wrong_field(where: str, field: str, value: object, allowed: str) -> InputError:
    """Return the error of a field that is missing or wrong.

    Examples
    --------
    >>> raise wrong_field("list.json, record [1],", "label", None, "a text")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: list.json, record [1], has no label; allowed: a text. Correct or remove the record
    """
    has = f"no {field}" if value is None else f"the {field} {shortened(value)}"
    return InputError(f"{where} has {has}; allowed: {allowed}. Correct or remove the record")
