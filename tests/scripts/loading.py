"""Scripts as modules, and how to run them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from typer.testing import CliRunner, Result

SCRIPTS = Path(__file__).parents[2] / "scripts"


def load_script(name: str) -> ModuleType:
    """Load a script by its file, since installed packages may have the same name."""
    spec = importlib.util.spec_from_file_location(f"{name}_script", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def runner(script: ModuleType) -> Callable[..., Result]:
    """Make a function that runs a script's app; its arguments become words."""
    return lambda *arguments: CliRunner().invoke(script.app, [str(word) for word in arguments])


def flat(output: str) -> str:
    """Take the frames and line breaks of rich out of an output."""
    return " ".join(output.translate(dict.fromkeys(map(ord, "│┃"), " ")).split())
