from typing import Any

# The extension module is described by the stubs of the package.
def __getattr__(name: str) -> Any: ...
