"""The rooms at the root are packages of `lrgd`: the folder `agents` is imported as `lrgd.agents`.

Everything else about the distribution stands in pyproject.toml.
"""

from setuptools import find_packages, setup

ROOMS = ("agents", "core", "evals", "graphs", "memory", "serving", "theory")

setup(
    packages=[
        *find_packages(include=["lrgd", "lrgd.*"]),
        *(
            f"lrgd.{name}"
            for name in find_packages(include=[p for r in ROOMS for p in (r, f"{r}.*")])
        ),
    ],
    package_dir={f"lrgd.{room}": room for room in ROOMS},
)
