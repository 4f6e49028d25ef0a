"""Labels become indices of the model's outputs, or an error that says what is wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sdmetrics.clips import Clip
from sdmetrics.errors import InputError, Note
from sdmetrics.evaluation.class_files import Classes
from sdmetrics.evaluation.labels import check_count, class_indices


def clip(label, name="wave", video=""):
    return Clip(name, lambda: np.zeros((8, 8, 8, 3), np.uint8), label=label, video=video)


@given(st.lists(st.text("abc ", min_size=1).map(str.strip).filter(bool), min_size=1, unique=True), st.data())
def test_a_label_is_the_index_of_its_name(names, data):
    classes = {name: index for index, name in enumerate(names)}
    labels = data.draw(st.lists(st.sampled_from(names)))
    found = class_indices([clip(label, f"clip {k}") for k, label in enumerate(labels)], classes)
    assert found.dtype == np.int64
    assert [names[index] for index in found] == labels


def test_a_label_of_several_parts_counts_by_the_one_that_is_a_class():
    labels = [clip("right/stripes"), clip("left/dots")]
    assert class_indices(labels, {"left": 0, "right": 1}).tolist() == [1, 0]
    assert class_indices(labels, {"stripes": 0, "plain": 1, "dots": 2}).tolist() == [0, 2]
    # A name that has the sign itself is taken whole.
    assert class_indices([clip("on/off")], {"on": 0, "on/off": 1}).tolist() == [1]
    with pytest.raises(InputError, match=r"in which 'right' and 'stripes' are classes; expected exactly one"):
        class_indices([clip("right/stripes")], {"right": 0, "stripes": 1})


def test_without_classes_labels_are_numbers():
    assert class_indices([clip("0"), clip("47")]).tolist() == [0, 47]
    for label in ("run", "-1", "1.5", ""):
        with pytest.raises(InputError, match=r"'wave' has the label .*only numbers are allowed"):
            class_indices([clip("3"), clip(label)])


def test_a_clip_without_a_label_or_of_no_class_is_named_with_what_is_allowed():
    with pytest.raises(InputError, match=r"'wave' has no label; use a folder per class"):
        class_indices([clip(None)], {"run": 0})
    many = {name: index for index, name in enumerate("abcdefgh")}
    with pytest.raises(InputError, match=r"'wave' has the label 'run', .* 8 classes: 'a', 'b', 'c', 'd', 'e', …\."):
        class_indices([clip("run")], many)
    with pytest.raises(InputError, match=r"not one of the 1 classes: 'jump'\."):
        class_indices([clip("run")], {"jump": 0})
    assert class_indices([], {"jump": 0}).shape == (0,)


def test_what_has_no_class_is_counted():
    clips = [clip("jump"), *(clip(label, f"clip {k}") for k, label in enumerate(["run", None, "walk"]))]
    with pytest.raises(InputError, match=r"'clip 0' has the label 'run', .*\(3 of 4 clips have no such label\)"):
        class_indices(clips, {"jump": 0})
    with pytest.raises(InputError, match=r"'wave' has no label \(2 of 2 clips have none\)"):
        class_indices([clip(None), clip(None)], {"jump": 0})


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ("riding_a_bike", "riding a bike"),
        ("val/riding_a_bike", "riding a bike"),
        ("Moving [something] up", "Moving something up"),
        ("HandStandPushups", "HandstandPushups"),
        ("apply-eye-makeup", "ApplyEyeMakeup"),
    ],
)
def test_names_that_differ_in_case_and_punctuation_only_are_matched_and_it_is_said(label, name):
    with pytest.warns(Note, match=r"1 label\(s\) differ from a class .*, e\.g\. '.*' for '.*'"):
        assert class_indices([clip(label), clip(label)], {"other": 0, name: 1}).tolist() == [1, 1]


def test_an_exact_name_comes_first_and_no_name_is_chosen_among_similar_ones():
    classes = {"Riding": 0, "riding": 1, "riding a bike": 2, "!": 3}
    assert class_indices([clip("riding"), clip("val/Riding")], classes).tolist() == [1, 0]
    with pytest.raises(InputError, match="'Riding' and 'riding' are classes; expected exactly one"):
        class_indices([clip("RIDING")], classes)
    with pytest.raises(InputError, match=r"the label '\?', which is not one"):
        class_indices([clip("?")], classes)


def test_numbers_count_as_in_the_file_of_the_classes():
    assert class_indices([clip("2"), clip("0")], {"a": 0, "b": 1, "c": 2}).tolist() == [2, 0]
    from_one = Classes({"a": 1, "b": 2, "c": 3}.items(), first=1)
    assert class_indices([clip("3"), clip("1"), clip("b")], from_one).tolist() == [2, 0, 1]
    # A class that is called by a number is meant by its name.
    assert class_indices([clip("2")], {"1": 0, "2": 1, "0": 2}).tolist() == [1]
    for number in ("0", "4"):
        with pytest.raises(InputError, match=f"a label is class {number}, and the labels name 3 classes, 1 to 3"):
            class_indices([clip(number)], from_one)
    with pytest.raises(InputError, match="which is not one of the 3 classes"):
        class_indices([clip("9" * 5000)], from_one)


def test_numbers_that_do_not_fit_the_folders_of_their_videos():
    def listed(*numbers):
        folders = ["Archery", "Biking", "Archery"]
        pairs = zip(numbers, folders, strict=True)
        return [clip(str(n), f"{f}/{k}.avi", video=f"{f}/{k}.avi") for k, (n, f) in enumerate(pairs)]

    from_zero = {"Archery": 0, "Biking": 1, "Diving": 2}
    assert class_indices(listed(0, 1, 0), from_zero).tolist() == [0, 1, 0]
    words = "is class 'Biking' of the classes counted from 0, and is in the folder 'Archery'"
    with pytest.raises(InputError, match=f"3 of 3 labels do not fit .*{words}; use the file"):
        class_indices(listed(1, 2, 1), from_zero)
    with pytest.warns(Note, match=f"1 of 3 labels do not fit .*{words}"):
        assert class_indices(listed(0, 1, 1), from_zero).tolist() == [0, 1, 1]


def test_numbers_without_classes_that_start_at_one_are_pointed_out():
    with pytest.warns(Note, match=r"numbers from 1 to 3, none is 0, .* pass a file of the classes"):
        assert class_indices([clip("1"), clip("3")]).tolist() == [1, 3]
    with pytest.warns(Note, match=r"numbers from 1 to 2, none is 0, .* pass a file of the classes"):
        assert class_indices([clip("1"), clip("2")], {"a": 0, "b": 1, "c": 2}).tolist() == [1, 2]
    with pytest.raises(InputError, match=r"class 3, .* 0 to 2; .* \(if the labels are counted from 1, pass a file"):
        class_indices([clip("1"), clip("3")], {"a": 0, "b": 1, "c": 2})
    assert class_indices([clip("val/4", "a"), clip("4", "b")]).tolist() == [4, 4]


def test_a_folder_of_something_else_is_no_class_number():
    assert class_indices([clip("train/0", "a"), clip("val/3", "b")]).tolist() == [0, 3]
    for classes in (None, {"Walk": 0, "Box": 1}):
        with pytest.raises(InputError, match="walking/01"):
            class_indices([clip("walking/01", "a"), clip("walking/00", "b")], classes)


@pytest.mark.parametrize("names", [4, 6])
def test_there_are_as_many_names_as_scores(names):
    check_count(None, 5, "logits")
    check_count(dict.fromkeys("abcde", 0), 5, "logits")
    with pytest.raises(InputError, match=f"name {names} classes, and output 'logits' has 5 scores; pass one name per"):
        check_count(dict.fromkeys("abcdef"[:names], 0), 5, "logits")
