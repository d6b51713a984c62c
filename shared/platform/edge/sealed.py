"""How the answer of a function that shows a secret is kept for a repetition: sealed by the key service.

Who reads the directory finds nothing of use; the seal is bound to the person, the function and the key.
"""

from __future__ import annotations

import base64

from shared.platform.cloud import keys


def keep(body: bytes, bound_to: str) -> str:
    """The text to keep. Raises Unavailable when the key service is."""
    return base64.b64encode(keys.seal(body, bound_to=bound_to)[0]).decode()


def read(kept: str, bound_to: str) -> bytes:
    """The answer again. Raises Unavailable."""
    return keys.open_sealed(base64.b64decode(kept), bound_to=bound_to)
