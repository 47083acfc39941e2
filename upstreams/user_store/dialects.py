"""Where PostgreSQL and SQLite need different words for the same thing."""

from typing import Any

from sqlalchemy import JSON, DateTime, Text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement


class comparable(FunctionElement[Any]):  # noqa: N801 - reads as the SQL function that it stands for
    """A stored time in a form that sorts as time does.

    SQLite keeps times as text, written with a blank or ``T``, with or without a fraction and ``Z``.
    """

    type = DateTime()
    inherit_cache = True


@compiles(comparable)
def _native(element: comparable, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(comparable, "sqlite")
def _uniform_text(element: comparable, compiler: SQLCompiler, **options: Any) -> str:
    return f"strftime('%Y-%m-%d %H:%M:%f', {compiler.process(element.clauses, **options)})"


class gateway_token_json(FunctionElement[Any]):  # noqa: N801 - as above
    """The JSON text of ``gatewayToken`` in an agent's configuration; nothing else of it leaves the database."""

    type = Text()
    inherit_cache = True


@compiles(gateway_token_json)
def _arrow(element: gateway_token_json, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} -> 'gatewayToken' AS TEXT)"


@compiles(gateway_token_json, "sqlite")
def _guarded_extract(element: gateway_token_json, compiler: SQLCompiler, **options: Any) -> str:
    config = compiler.process(element.clauses, **options)
    # SQLite takes any text for JSON until it is asked to look inside.
    return f"CASE WHEN json_valid({config}) THEN json_quote(json_extract({config}, '$.gatewayToken')) END"


class json_document(FunctionElement[Any]):  # noqa: N801 - as above
    """JSON text as a value for a JSON column, checked by the database.

    PostgreSQL's ``json`` takes escapes of what no text can hold, a NUL, and fails whenever it is read; ``jsonb``
    refuses them at once, and suits a column of either type.
    """

    type = JSON()
    inherit_cache = True


@compiles(json_document)
def _binary(element: json_document, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST({compiler.process(element.clauses, **options)} AS JSONB)"


@compiles(json_document, "sqlite")
def _minified(element: json_document, compiler: SQLCompiler, **options: Any) -> str:
    return f"json({compiler.process(element.clauses, **options)})"
