"""Each promise of docs/reliability.md has tests whose names begin with its number: ``test_1_...``."""

import ast
import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
PROMISES = re.findall(
    r"^\| (\d) \|", (HERE.parent / "docs/reliability.md").read_text(encoding="utf-8"), re.MULTILINE
)
NUMBERED = re.compile(r"\btest_(\d)_")


def numbers_of(path: Path) -> set[str]:
    """Return the numbers of the promises that the module has tests of."""
    text = path.read_text(encoding="utf-8")
    if NUMBERED.search(text) is None:
        return set()
    functions = (
        each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return {found[1] for each in functions if (found := NUMBERED.match(each.name))}


def test_there_are_nine() -> None:
    assert [str(number) for number in range(1, 10)] == PROMISES


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_has_tests(promise: str) -> None:
    assert [path.name for path in HERE.rglob("test_*.py") if promise in numbers_of(path)]
