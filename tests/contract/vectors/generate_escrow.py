"""Writes the golden vector of a kept PUK, apart from the others.

HPKE draws a fresh key at each sealing, so these bytes are not written twice alike: what stays fixed
is that the recipients' keys open them. To write them anew (a new PUK format, and no other reason):

    python -m tests.contract.vectors.generate_escrow
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from contract.escrow import PukEscrow
from contract.ids import Guid

VECTOR: Final = Path(__file__).parent / "escrow.json"
SCALARS: Final = {"authority": 17, "gateway": 18}
"""Private keys of the recipients: generated test keys, published here; of no use anywhere."""


def key(name: str) -> ec.EllipticCurvePrivateKey:
    """A recipient's private key."""
    return ec.derive_private_key(SCALARS[name], ec.SECP256R1())


def generate() -> dict[str, Any]:
    """The whole file."""
    recipients = [key(name).public_key() for name in SCALARS]
    escrow = PukEscrow.seal(Guid("6a" * 16), 3, b"27182818", recipients)
    return {
        "note": "Generated test vector; the keys behind it are generated test keys.",
        "source": "tests/contract/vectors/generate_escrow.py",
        "puk": "27182818",
        "record": escrow.to_bytes().decode(),
    }


if __name__ == "__main__":
    VECTOR.write_text(json.dumps(generate(), indent=1) + "\n")
