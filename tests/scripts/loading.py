"""Scripts as modules, and how to run them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

from samples import run_app
from typer.testing import Result

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
    """Return a function that runs a script's app and checks its exit code."""
    return partial(run_app, script.app)


def flat(output: str) -> str:
    """Remove rich's frames and line breaks from an output."""
    return " ".join(output.translate(dict.fromkeys(map(ord, "│┃"), " ")).split())
