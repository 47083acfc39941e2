"""The ``bff`` command."""

from pathlib import Path
from typing import Annotated, NoReturn

import typer

from bff import __version__, configuration
from bff.settings import Settings

app = typer.Typer(
    help="A backend-for-frontend gateway for dashboards.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration file (default: config.yaml, if it is there)."),
]


@app.command()
def serve(config: ConfigFile = None) -> None:
    """Serve the gateway until SIGTERM or SIGINT."""
    from bff.serve import serve as run

    settings = _load(config)
    try:
        run(settings)
    except OSError as error:
        _fail(str(error))


@app.command()
def demo(
    port: Annotated[int, typer.Option(help="The gateway's public port.")] = 8080,
    ops_port: Annotated[int, typer.Option(help="The gateway's operations port.")] = 9090,
) -> None:
    """Run the gateway on a pretend platform, with lines to try."""
    from demo.run import run

    run(port, ops_port)


@app.command()
def check(config: ConfigFile = None) -> None:
    """Validate the configuration and ask each upstream once; exit with 1 when one does not answer."""
    from bff.check import run

    raise typer.Exit(run(_load(config)))


@app.command()
def plans(config: ConfigFile = None) -> None:
    """Show each operation with its sources, what stands in for them, and how long its answers are kept."""
    from bff.app import kept_as_configured
    from bff.endpoints import ACTIONS, PLANS
    from bff.plans.listing import listing

    typer.echo(listing(kept_as_configured(PLANS, _load(config)), ACTIONS))


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"bff {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    pass


def _load(file: Path | None) -> Settings:
    try:
        return configuration.load(file)
    except configuration.ConfigurationError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    typer.echo(f"bff: {message}", err=True)
    raise typer.Exit(2)


def main() -> None:
    app()
