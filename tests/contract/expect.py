"""Comparing an answer with what a case expects: literally, but for ``<int>``, ``<timestamp>`` and their like."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from bff.figures.trend import MONTHS
from tests.contract.case import Trend, moment

_WORD = re.compile(r"<([^<>]+)>")
_PATTERNS = {
    "int": r"-?\d+",
    "number": r"\d+\.\d",
    "timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "hex": r"[0-9a-f]{32}",
    "any": r".+",
}


class Expectation:
    """``words`` are those of this run, such as ``<gateway url>``; times are relative to ``now``."""

    def __init__(self, now: datetime, words: Mapping[str, str]) -> None:
        self._now = now
        self._words = {word.strip("<>"): value for word, value in words.items()}

    def text(self, expected: str, actual: str) -> bool:
        """Return whether ``actual`` is as expected, whole."""
        return re.fullmatch(self._pattern(expected), actual, re.DOTALL) is not None

    def differences(self, expected: Any, actual: Any, at: str = "body", *, partly: bool = False) -> Iterator[str]:
        """Return where ``actual`` differs; ``partly``: objects may have more keys than expected."""
        if isinstance(expected, Trend):
            expected = self._months(expected)
        if isinstance(expected, dict) and isinstance(actual, dict):
            keys = set(expected) if partly else set(expected) | set(actual)
            for key in sorted(keys):
                yield from self.differences(
                    expected.get(key, ...), actual.get(key, ...), f"{at}.{key}", partly=partly
                )
        elif isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
            for index, pair in enumerate(zip(expected, actual, strict=True)):
                yield from self.differences(*pair, f"{at}[{index}]", partly=partly)
        elif not self._same(expected, actual):
            yield f"{at}: expected {_shown(expected)}, got {_shown(actual)}"

    def _same(self, expected: Any, actual: Any) -> bool:
        if expected == "<any int>":
            return type(actual) is int
        if isinstance(expected, str) and isinstance(actual, str):
            return self.text(expected, actual)
        return isinstance(expected, bool) == isinstance(actual, bool) and bool(expected == actual)

    def _pattern(self, expected: str) -> str:
        parts = _WORD.split(expected)
        return "".join(self._word(part) if odd % 2 else re.escape(part) for odd, part in enumerate(parts))

    def _word(self, word: str) -> str:
        if word in _PATTERNS:
            return _PATTERNS[word]
        if word in self._words:
            return re.escape(self._words[word])
        if word.startswith("day "):
            day = self._moment(word.removeprefix("day "))
            return f"{MONTHS[day.month - 1]} {day.day}"
        if word.startswith("date "):
            return self._moment(word.removeprefix("date ")).date().isoformat()
        if word.startswith("month "):
            return f"{self._moment(word.removeprefix('month ')):%Y-%m}"
        return re.escape(self._moment(word).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z")

    def _moment(self, text: str) -> datetime:
        found = moment(text, self._now)
        assert found is not None, f"<{text}> means nothing"
        return found

    def _months(self, trend: Trend) -> list[dict[str, Any]]:
        first, last = (_month(self._moment(text)) for text in (trend.since, "now"))
        kinds = {
            kind: [_month(self._moment(text)) for text in getattr(trend, kind)]
            for kind in ("deployments", "skills", "tasks")
        }
        return [
            {"label": MONTHS[month % 12]} | {kind: found.count(month) for kind, found in kinds.items()}
            for month in range(first, last + 1)
        ]


def _month(day: datetime) -> int:
    return day.year * 12 + day.month - 1


def _shown(value: Any) -> str:
    return "nothing" if value is ... else json.dumps(value, default=str)
