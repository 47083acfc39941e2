"""What the peers run on: made once, from their locks, beside this module."""

import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
FASTAPI = HERE / "peers" / "fastapi"
FASTIFY = HERE / "peers" / "fastify"
PYTHON = HERE / ".venv" / "bin" / "python"


def prepare() -> None:
    """Install what is missing. Raises SystemExit without Node, CalledProcessError when an installation fails."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise SystemExit("bench: one of the peers runs on Node (20 or newer), which is not on the PATH")
    _install(FASTAPI / "requirements.lock", HERE / ".venv" / "installed", _python_packages)
    _install(FASTIFY / "package-lock.json", FASTIFY / "node_modules" / "installed", _node_packages)


def _install(lock: Path, mark: Path, install: Callable[[], None]) -> None:
    if mark.exists() and mark.read_bytes() == lock.read_bytes():
        return
    sys.stderr.write(f"bench: installing {lock.relative_to(HERE)}\n")
    install()
    shutil.copy(lock, mark)


def _python_packages() -> None:
    venv.create(PYTHON.parent.parent, with_pip=True, clear=True)
    pip: list[str | Path] = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--require-hashes", "-r", FASTAPI / "requirements.lock"], check=True)


def _node_packages() -> None:
    npm = ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"]
    subprocess.run(npm, cwd=FASTIFY, check=True, stdout=subprocess.DEVNULL)
