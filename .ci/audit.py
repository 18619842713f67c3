"""Known vulnerabilities of the installed packages, by pip-audit: `make audit`.

Exit code 0: every package was looked up, and none is known to be vulnerable. 1: some are. 2: some
could not be looked up; pip-audit itself calls that a success.
"""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

NAMED = 8
"""Packages that one line names."""


def main() -> None:
    """`audit.py PIP_AUDIT SITE_PACKAGES`."""
    tool, packages = sys.argv[1:]
    options = ["--skip-editable", "--progress-spinner", "off", "--format", "json"]
    done = subprocess.run([tool, "--path", packages, *options], capture_output=True, text=True)
    try:
        code, told = outcome(json.loads(done.stdout)["dependencies"])
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        code, told = 2, f"the vulnerability database cannot be reached: {last[:200]}"
    print(f"audit: {told}", file=sys.stderr if code else sys.stdout)
    sys.exit(code)


def outcome(packages: Sequence[Mapping[str, Any]]) -> tuple[int, str]:
    """Exit code and line of what pip-audit found out, one entry a package."""
    known = [p for p in packages if p.get("vulns")]
    skipped = [p["name"] for p in packages if "skip_reason" in p and p["name"] != "lrgd"]
    looked_up = sum("skip_reason" not in p for p in packages)
    if known:
        found = [
            f"{p['name']} {p['version']}: {', '.join(v['id'] for v in p['vulns'])}" for p in known
        ]
        return (
            1,
            f"known vulnerabilities in {len(known)} of {looked_up} packages: {'; '.join(found)}",
        )
    if skipped or not packages:
        names = f"{', '.join(skipped[:NAMED])}{', ...' if len(skipped) > NAMED else ''}"
        return 2, (
            f"{len(skipped)} of {len(packages)} packages could not be looked up ({names}): "
            "run it where pypi.org can be reached"
        )
    return 0, f"no known vulnerability in {looked_up} packages"


if __name__ == "__main__":
    main()
