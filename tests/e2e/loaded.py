"""An entrypoint that tells what the daemon has imported; installed beside the generated modules."""

import sys

from privileged import process_context  # type: ignore[import-not-found,unused-ignore]

# What an installation of Python brings in before any code of ours, and what Cython leaves.
NOISE = ("__main__", "_cython", "cython_runtime", "_distutils_hack", "sitecustomize")


@process_context.entrypoint  # type: ignore[untyped-decorator,unused-ignore]
def modules() -> list[str]:
    """Names of the modules that are neither of the standard library nor of the interpreter."""
    tops = {name: name.partition(".")[0] for name in sys.modules}
    ours = {name: top for name, top in tops.items() if not top.startswith(NOISE)}
    return sorted(name for name, top in ours.items() if top not in sys.stdlib_module_names)
