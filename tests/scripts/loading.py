"""Scripts as modules: the folder scripts/ is no package."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

SCRIPTS = Path(__file__).parents[2] / "scripts"
# As when a script is run: some import others.
sys.path.append(str(SCRIPTS))


def load_script(name: str) -> ModuleType:
    """The script of this name, loaded anew."""
    spec = importlib.util.spec_from_file_location(f"{name}_script", SCRIPTS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
