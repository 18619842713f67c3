"""`lrgd.theory` needs neither the libraries of the memory nor those of the graphs."""

import subprocess
import sys

# Every module of it, then the names of all that was loaded.
PROGRAM = """
import importlib, pkgutil, sys
import lrgd.theory
for module in pkgutil.walk_packages(lrgd.theory.__path__, "lrgd.theory."):
    importlib.import_module(module.name)
print(*sys.modules)
"""


def test_theory_loads_no_chromadb_langgraph_or_openai() -> None:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=True
    )
    loaded = set(found.stdout.split())
    assert {"lrgd.theory.dual", "lrgd.theory.paper.single_layer", "torch"} <= loaded
    assert {"chromadb", "langgraph", "langchain_core", "openai", "lrgd.memory"}.isdisjoint(loaded)
