"""What is installed only with an extra of the package: asked for by name before it is imported."""

from importlib.util import find_spec

from lrgd.core.errors import InputError


def require(*modules: str, extra: str, purpose: str, instead: str = "") -> None:
    """Check that modules of an extra can be imported; none of them is.

    Args:
        extra: of this package, as in `pip install 'lrgd[extra]'`.
        purpose: what needs them; begins the message.
        instead: what else would do.

    Raises:
        InputError: names the first that is missing, and what to install.
    """
    for module in modules:
        if find_spec(module) is None:
            other = f", or {instead}" if instead else ""
            raise InputError(
                f"{purpose} needs {module}, which is not installed: "
                f"pip install 'lrgd[{extra}]'{other}"
            )
