"""The copy of the results table in the README."""

from __future__ import annotations

import pytest

from envs.errors import InputError
from pipeline.readme import BEGIN, END, block, first_table, with_table

PAGE = "# Results\n\nWords.\n\n| model | completions |\n|---|---|\n| [a](a.md) | 3/3 |\n\n| other |\n|---|\n"
README = f"# hotlap\n\n{BEGIN}\nold\n{END}\n\nMore.\n"


def test_the_first_table_is_taken_whole() -> None:
    assert first_table(PAGE) == "| model | completions |\n|---|---|\n| [a](a.md) | 3/3 |"


def test_the_block_is_replaced_and_the_rest_is_kept() -> None:
    written = with_table(README, PAGE, "results")
    assert written == README.replace("old", first_table(PAGE).replace("(a.md)", "(results/a.md)"))


def test_writing_twice_changes_nothing() -> None:
    once = with_table(README, PAGE, "results")
    assert with_table(once, PAGE, "results") == once


def test_links_elsewhere_stay() -> None:
    page = "| [w](https://example.org) [s](#there) |\n"
    assert block(with_table(README, page, "results")) == page.strip()


@pytest.mark.parametrize("readme", ["", BEGIN, f"{END}{BEGIN}", README + README])
def test_a_readme_without_its_markers_is_refused(readme: str) -> None:
    with pytest.raises(InputError, match="once each"):
        with_table(readme, PAGE, "results")


def test_a_page_without_a_table_is_refused() -> None:
    with pytest.raises(InputError, match="no table"):
        with_table(README, "# Results\n", "results")
