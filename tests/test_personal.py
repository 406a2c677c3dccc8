"""What looks personal is told from an operator's own numbers, in one place for lists and for what leaves the house."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workbench.personal import is_card, masked, personal
from workbench.reports.handoff import scan
from workbench.reports.page import lists
from workbench.warehouse.clear import kinds, mask


def check_digit(first):
    """The check character by the definition of ISO 7064, MOD 11-2: a0 + sum of a_i W_i leaves 1 over, W_i = 2^(i-1)."""
    weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]  # as the standard prints them
    total = sum(int(d) * w for d, w in zip(first, weights, strict=True))
    return next(c for c, value in zip("0123456789X", range(11), strict=True) if (total + value) % 11 == 1)


def test_the_check_character_is_that_of_the_standard():
    """Against the weights as GB 11643 prints them; the standard's own example ends in X."""
    assert check_digit("11010519491231002") == "X" and is_card("11010519491231002X") and is_card("11010519491231002x")
    rng = np.random.default_rng(1)
    for _ in range(300):
        first = (
            f"440301{rng.integers(1920, 2020)}{rng.integers(1, 13):02}{rng.integers(1, 29):02}{rng.integers(1000):03}"
        )
        right = check_digit(first)
        assert [c for c in "0123456789X" if is_card(first + c)] == [right]


@pytest.mark.parametrize(
    ("number", "why"),
    [
        ("11010519491331002X", "no month 13"),
        ("110105194902310026", "no 31 February"),
        ("755200001000000001", "a customer number"),
        ("99010519491231002X", "no such issuer"),
        ("1101051949123100", "too short"),
        ("１１０１０５１９４９１２３１００２X", "not in ASCII: bring it to one form first"),
    ],
)
def test_what_is_no_card(number, why):
    assert not is_card(number), why
    if len(number) == 18 and number.isascii():
        assert not is_card(number[:17] + check_digit(number[:17])), "a right check character alone makes no card"


def test_customer_numbers_of_18_digits_are_written_and_cards_are_not(tmp_path):
    """50 surrogate numbers in a row: five of them end in what would be a right check digit, none has a birthday."""
    numbers = [f"75520000{1000000000 + i}" for i in range(50)]
    assert sum(n[17] == check_digit(n[:17]) for n in numbers) >= 4
    said = {"name": "t", "definition": "d", "as_of": "2026-07-01"}
    assert len(lists.write_list(pd.DataFrame({"customer_id": numbers}), tmp_path, **said)) == 3
    assert len(lists.write_list(pd.DataFrame({"customer_id": list(map(int, numbers))}), tmp_path, **said)) == 3
    numbers[7] = "11010519491231002X"
    with pytest.raises(lists.WorkbenchError, match=r"looks like an identity card \(1 rows\)"):
        lists.write_list(pd.DataFrame({"customer_id": numbers}), tmp_path, **said)


@pytest.mark.parametrize("text", ["755200001000000001", "11010519491231002X", "139123456", "460001234567890", "a@b.cn"])
def test_lists_and_bundles_judge_a_number_alike(text, tmp_path):
    """The same numbers are refused by both, the same pass both."""
    said = {"name": "t", "definition": "d", "as_of": "2026-07-01"}
    refused = []
    for door in (
        lambda: lists.write_list(pd.DataFrame({"c": [text]}), tmp_path, **said),
        lambda: scan.refuse({"a.txt": text.encode()}, root=tmp_path, minimum=10, secret={}),
    ):
        try:
            door()
            refused.append(False)
        except lists.WorkbenchError:
            refused.append(True)
    assert refused == [bool(personal(text))] * 2


@pytest.mark.parametrize(
    ("text", "clear"),
    [
        ("打139.1234.5678。", "打[number]。"),
        ("打139·1234·5678", "打[number]"),
        ("打139—1234—5678/138_1234_5678", "打[number]/[number]"),
        ("打１３９．１２３４．５６７８", "打[number]"),
        ("证110105 19491231 002X", "证[number]"),
        ("证110 105 1949 1231 002x号", "证[number]号"),
        ("单20260101 11010519491231002X", "单20260101 [number]"),
        ("价139.12345678", "价139.12345678"),
        ("价139.1234.5678.9", "价139.1234.5678.9"),
        ("单110105 19491331 002X", "单110105 19491331 002X"),
    ],
)
def test_numbers_in_groups_as_people_write_them(text, clear):
    column = pa.chunked_array([[text]])
    assert mask(column)[0].to_pylist() == [clear] == [masked(text)[0]]
    assert bool(personal(text)) == (text != clear)


def test_an_identifier_in_groups_is_one_in_clear():
    found = kinds(pa.chunked_array([["139.1234.5678", "110105 19491231 002X", "139.12345678", "139-1234-5678"]]))
    assert found.to_pylist() == ["phone", "card", None, "phone"]


def test_a_whole_value_is_told_from_a_text_that_holds_it():
    assert personal("拨打 １３８００１３８０００") == ["a telephone number"] and not personal(
        "拨打 13800138000", whole=True
    )
    assert personal(" +86 138-0013-8000 ", whole=True) == ["a telephone number"]
    assert personal("write to li@example.cn") == ["an e-mail address"] == personal("li@example.cn", whole=True)
    assert not personal("write to li@example.cn", whole=True)


def test_a_fixed_line_is_no_surrogate_number():
    """By itself it needs a sign behind its area code, for customers' numbers begin with 0, too."""
    assert personal("0755-82345678", whole=True) == ["the number of a fixed line"] == personal("找0755-82345678")
    assert not personal("075582345678", whole=True) and not personal("0.075582345678")
