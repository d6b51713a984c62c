"""Run by `make verify-bundles` with a bundle's own Python, in an empty place: import all that it carries.

Reads a JSON request on standard input and answers a JSON list of problems, each naming what is missing.
Imports inside functions are tried as well: they fail in production at the first call that needs them.
"""

import importlib
import json
import os
import sys
from pathlib import Path


def problems(folder: str, entry_point: str, modules: list[str], outside: list[list[str]]) -> list[str]:
    """Load the function as the platform does, then everything else."""
    found: list[str] = []
    import functions_framework

    try:
        functions_framework.create_app(entry_point, str(Path(folder) / "main.py"), "http")
    except (Exception, SystemExit) as error:
        return [f"main.py can't be imported: {_of(error)}"]
    for module in modules:
        try:
            importlib.import_module(module)
        except Exception as error:
            found.append(f"{module} can't be imported: {_of(error)}")
    for module, name in outside:
        try:
            parent = importlib.import_module(module)
            if name and not hasattr(parent, name):
                importlib.import_module(f"{module}.{name}")
        except Exception as error:
            found.append(f"{'.'.join(filter(None, (module, name)))} can't be imported: {_of(error)}")
    for name, module_object in sorted(sys.modules.items()):
        place = getattr(module_object, "__file__", None)
        top = name.split(".")[0]
        if top in ("shared", "functions", "local", "tests", "tools") and place:
            if not Path(place).is_relative_to(folder):
                found.append(f"{name} comes from {place}, not from the bundle")
            elif top != "shared":
                found.append(f"{name} has no place in a bundle")
    return found


def _of(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    os.chdir(asked["folder"])
    answer = problems(asked["folder"], asked["entry_point"], asked["modules"], asked["outside"])
    sys.stdout.write("\n" + json.dumps(answer))
