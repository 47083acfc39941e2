"""Words in angle brackets that stand for a text of this run: ``<gateway url>``, ``<the etag>``, ``<20 KB>``."""

import re
from collections.abc import Mapping
from functools import reduce
from typing import Any

_SIZE = re.compile(r"<(\d+) KB>")


def written_out(value: Any, words: Mapping[str, str]) -> Any:
    """Return ``value`` with the words filled in, in every text within it."""
    match value:
        case str():
            text = reduce(lambda text, word: text.replace(*word), words.items(), value)
            return _SIZE.sub(lambda size: "x" * (int(size[1]) * 1024), text)
        case list():
            return [written_out(each, words) for each in value]
        case dict():
            return {written_out(key, words): written_out(each, words) for key, each in value.items()}
    return value
