"""Copy the first table of the results page into the README: `python -m pipeline.readme results/README.md README.md`."""

from __future__ import annotations

import itertools
import re
import sys
from pathlib import Path

from envs.errors import HotlapError, InputError

BEGIN, END = "<!-- table -->", "<!-- /table -->"
LINK = re.compile(r"\]\((?!https?://|#|/)")


def first_table(page: str) -> str:
    """The first Markdown table of `page`, or nothing: lines that begin with a bar."""
    rest = itertools.dropwhile(lambda line: not line.startswith("|"), page.splitlines())
    return "\n".join(itertools.takewhile(lambda line: line.startswith("|"), rest))


def block(readme: str) -> str:
    """What stands between the markers of `readme`.

    Raises:
        InputError: the markers are not there, once each and in order.
    """
    before, begin, after = readme.partition(BEGIN)
    inside, end, rest = after.partition(END)
    if not begin or not end or BEGIN in rest or END in before + rest:
        raise InputError(f"the README must hold {BEGIN} and after it {END}, once each; put them where the table goes")
    return inside.strip("\n")


def with_table(readme: str, page: str, folder: str) -> str:
    """`readme` with the first table of `page` between its markers; links in it lead from the README's place.

    Args:
        readme: the README's text.
        page: the results page's text.
        folder: where the page lies as seen from the README, such as ``results``.

    Raises:
        InputError: the markers are not there, or the page has no table.
    """
    block(readme)
    table = first_table(page)
    if not table:
        raise InputError("the results page has no table; write it by `hotlap table`")
    before, _, after = readme.partition(BEGIN)
    _, _, rest = after.partition(END)
    return f"{before}{BEGIN}\n{LINK.sub(f']({folder}/', table)}\n{END}{rest}"


def main(page: Path, readme: Path) -> None:
    """Write the table of `page` into `readme`."""
    try:
        folder = page.parent.name
        text = with_table(readme.read_text(encoding="utf-8"), page.read_text(encoding="utf-8"), folder)
    except (HotlapError, OSError) as error:
        sys.exit(f"readme: {error}")
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
