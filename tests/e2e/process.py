"""The ``bff`` command in a process of its own."""

import asyncio
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.forks import Forks

COMMAND = Path(sys.executable).with_name("bff")
READY = re.compile(r"bff is ready: (http://\S+) \(operations: (http://\S+)\)\n")
WITHIN = 20.0


@dataclass
class Serving:
    """A running ``bff serve``; ``errors`` is the file its logs go to."""

    process: asyncio.subprocess.Process
    public: str
    ops: str
    errors: Path

    @property
    def logs(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.errors.read_text(encoding="utf-8").splitlines()]

    async def ended(self) -> int:
        """Return the exit status; everything the process printed after its ready line must have been nothing."""
        assert self.process.stdout is not None
        async with asyncio.timeout(WITHIN):
            assert await self.process.stdout.read() == b""
            return await self.process.wait()


@asynccontextmanager
async def serving(
    settings: Mapping[str, Any], folder: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[Serving]:
    """Run ``bff serve`` with ``settings`` on free ports; yield it when it has printed its ready line."""
    config, errors = folder / "bff.yaml", folder / "bff.log"
    ports = {"server": {"port": 0} | settings.get("server", {}), "ops": {"port": 0}}
    config.write_text(json.dumps({**settings, **ports}), encoding="utf-8")
    with errors.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(str(COMMAND), "serve", "--config", str(config)),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=environment(env),
            cwd=folder,
        )
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), WITHIN)).decode()
        ready = READY.fullmatch(line)
        assert ready is not None, line + errors.read_text(encoding="utf-8")
        yield Serving(process, ready[1], ready[2], errors)
    finally:
        if process.returncode is None:
            process.kill()
        await asyncio.wait_for(process.communicate(), WITHIN)


async def run(*arguments: str, folder: Path, env: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run a ``bff`` command to its end; return its exit status, output and errors."""
    process = await asyncio.create_subprocess_exec(
        *(str(COMMAND), *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(env),
        cwd=folder,
    )
    output, errors = await asyncio.wait_for(process.communicate(), WITHIN)
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


async def run_fork(
    forks: Forks, *arguments: str, folder: Path, env: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Return what :func:`run` does, in a fraction of the time."""
    output, errors = folder / "output", folder / "errors"
    pid = forks.start(arguments, folder, output, errors, environment(env))
    status = await asyncio.wait_for(asyncio.to_thread(forks.wait, pid), WITHIN)
    return status, output.read_text(encoding="utf-8"), errors.read_text(encoding="utf-8")


def environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """Return this process's environment without what would configure a gateway, and ``more``."""
    known = {"ADMIN_EMAILS", "NEXTAUTH_SECRET", "REDIS_URL", "DATABASE_URL", "INTERNAL_API_KEY"}
    known |= {"OPENCLAW_GATEWAY_TOKEN"}
    kept = {name: value for name, value in os.environ.items() if name not in known and not name.startswith("BFF_")}
    return kept | {"COLUMNS": "200"} | dict(more or {})
