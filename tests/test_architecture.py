"""The rules of the house: which package may know which, how large a module may be, what a plan promises."""

import ast
from pathlib import Path
from typing import get_args

import pytest
from pydantic.fields import FieldInfo

from bff.cache.entries import degradation
from bff.endpoints import ACTIONS, PLANS
from bff.plans import Access, Scope
from contracts import Document
from upstreams.failure import Reason, UpstreamFailure

OPERATIONS = (*PLANS, *ACTIONS)
ROOT = Path(__file__).parents[1]
OURS = {"bff", "upstreams", "contracts", "demo", "tests", "bench"}
MAY_IMPORT = {
    "contracts": {"contracts"},
    "upstreams": {"upstreams"},
    "bff": {"bff", "upstreams", "contracts"},
    "demo": {"demo", "bff", "upstreams", "contracts"},
}
NO_IO_FOR = {"contracts"}
IO = {"asyncio", "httpx", "socket", "sqlalchemy", "starlette", "os", "pathlib", "pydantic_settings"}
MODULES = {
    str(path.relative_to(ROOT)): path
    for package in [*MAY_IMPORT, "tests"]
    for path in sorted((ROOT / package).rglob("*.py"))
}
SOURCES = {name: path for name, path in MODULES.items() if not name.startswith("tests")}


def imports(node: ast.AST) -> set[str]:
    """Return the packages at the top of what is imported anywhere below ``node``."""
    found: set[str] = set()
    for each in ast.walk(node):
        if isinstance(each, ast.Import):
            found |= {alias.name.split(".")[0] for alias in each.names}
        elif isinstance(each, ast.ImportFrom):
            assert each.level == 0, "imports are absolute"
            found.add((each.module or "").split(".")[0])
    return found


def package_of(name: str) -> str:
    return name.partition("/")[0]


@pytest.mark.parametrize("name", SOURCES)
def test_dependencies_point_one_way(name: str) -> None:
    tree = ast.parse(SOURCES[name].read_text())
    if name == "bff/cli.py":
        # The command that runs the gateway on the pretend platform imports it, and only when it is called.
        at_once = ast.Module([node for node in tree.body if not isinstance(node, ast.FunctionDef)], [])
        assert imports(tree) & OURS <= MAY_IMPORT["bff"] | {"demo"}
        assert imports(at_once) & OURS <= MAY_IMPORT["bff"]
        return
    assert imports(tree) & OURS <= MAY_IMPORT[package_of(name)]


@pytest.mark.parametrize("name", [name for name in SOURCES if package_of(name) in NO_IO_FOR])
def test_contracts_do_no_io(name: str) -> None:
    assert not imports(ast.parse(SOURCES[name].read_text())) & IO


@pytest.mark.parametrize("name", [name for name in SOURCES if name.startswith(("bff/endpoints", "bff/figures"))])
def test_merges_do_no_io_and_know_no_clock(name: str) -> None:
    assert not imports(ast.parse(SOURCES[name].read_text())) & (IO | {"time"})
    text = SOURCES[name].read_text()
    assert "bff.clock" not in text
    assert ".now(" not in text


def test_only_the_keys_module_makes_keys() -> None:
    made = [
        name for name, path in SOURCES.items() if "sha256" in path.read_text() and name.startswith("bff/cache")
    ]
    assert made == ["bff/cache/keys.py"]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_about_three_hundred_lines_at_most(name: str) -> None:
    assert len(MODULES[name].read_text().splitlines()) <= 350


def documents(model: type[Document]) -> set[type[Document]]:
    """Return ``model`` and every documented object within it."""
    found = {model}
    for field in model.model_fields.values():
        for nested in _models_in(field.annotation):
            found |= documents(nested)
    return found


def _models_in(annotation: object) -> list[type[Document]]:
    if isinstance(annotation, type) and issubclass(annotation, Document):
        return [annotation]
    return [model for part in getattr(annotation, "__args__", ()) for model in _models_in(part)]


def _is_constant(field: FieldInfo) -> bool:
    return get_args(field.annotation) == (field.default,)


ANSWERS = {model for operation in OPERATIONS for model in documents(operation.answer)}


@pytest.mark.parametrize("model", sorted(ANSWERS, key=str))
def test_documented_fields_are_camel_case_and_never_left_out(model: type[Document]) -> None:
    for name, field in model.model_fields.items():
        first, *rest = name.split("_")
        assert field.serialization_alias == first + "".join(word.capitalize() for word in rest)
        if (model.__name__, name) != ("Check", "detail"):  # the one documented as possibly absent
            assert field.is_required() or _is_constant(field), "a field with a default may be forgotten by a merge"
            assert field.exclude_if is None
            assert not field.exclude


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_an_operation_is_complete(operation) -> None:
    assert operation.document in {"000", "001", "002", "003", "004"}
    assert operation.path.startswith("/api/")
    assert 0 < operation.deadline <= 5
    assert operation.failed
    for status, error in operation.failed_by.values():
        assert 500 <= status < 600
        assert error
    # What a path names is somebody's, and nobody else's to ask about.
    assert operation.subject is not None or "{" not in operation.path


def test_operations_have_names_of_their_own() -> None:
    names = [operation.name for operation in OPERATIONS]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_a_plan_is_complete(plan) -> None:
    for source in plan.sources:
        assert source.required or source.stands_in
    assert min(plan.keep.fresh, plan.keep.stale, plan.keep.on_error) >= 0
    if plan.fallback is not None:
        assert isinstance(plan.fallback, plan.answer)


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_an_action_is_complete(action) -> None:
    assert set(action.changes) <= {plan.name for plan in PLANS if plan.shared_by is Scope.USER}
    assert action.access in {Access.SESSION, Access.OWNER}


NOT_KEPT = (0, 0, 0, 2.0)
DOCUMENTED = {
    "dashboard.data": (5, 30, 600, 2.0),
    "dashboard.analytics": (30, 300, 3600, 2.0),
    "dashboard.bootstrap": (30, 60, 600, 2.0),
    "dashboard.cost": (60, 600, 3600, 2.0),
    "dashboard.stats": (10, 60, 0, 2.0),
    "dashboard.health": (30, 60, 300, 4.5),
    "admin.summary": (15, 60, 300, 4.5),
    "dashboard.getStats": (60, 300, 3600, 5.0),
    "codex.overview": (5, 30, 300, 2.0),
    "codex.models": (300, 3600, 86400, 2.0),
}


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_a_plan_keeps_its_answers_as_documented(plan) -> None:
    keep = plan.keep
    assert (keep.fresh, keep.stale, keep.on_error, plan.deadline) == DOCUMENTED.get(plan.name, NOT_KEPT)


@pytest.mark.parametrize("reason", Reason)
def test_a_reason_is_a_structured_field_token(reason: Reason) -> None:
    told = degradation(UpstreamFailure("up", reason))
    assert told == f"up;reason={reason.value}"
    assert reason.value.replace("_", "").isalpha()
    assert reason.value.islower()
