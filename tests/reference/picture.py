"""Write docs/rollout.png, which the README shows: the picture of the report `rollout` of the sample operator.

`workbench run rollout` makes the report; this takes the picture out of it, byte for byte.
"""

import base64
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "reports/site/rollout/default/report.ipynb"
PICTURE = ROOT / "docs/rollout.png"


def picture() -> bytes:
    """Give the report's picture of the effect by month, a PNG."""
    outputs = [o for cell in nbformat.read(REPORT, 4).cells for o in cell.get("outputs", [])]
    (found,) = (
        o
        for o in outputs
        if o.get("metadata", {}).get("workbench", {}).get("name") == "months" and "image/png" in o["data"]
    )
    return base64.b64decode(found["data"]["image/png"])


if __name__ == "__main__":
    PICTURE.write_bytes(picture())
    print(f"docs/{PICTURE.name}: written")
