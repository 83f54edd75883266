"""Put a first cell into the first notebook that says what a temporary server is. For images of Binder only."""

from __future__ import annotations

import json
from pathlib import Path

TEXT = (
    "**This is a temporary server.** It ends after about ten minutes without activity, and what you did is lost with "
    "it: download a notebook (File, Download) before you leave."
)


def main() -> None:
    """Change the notebook in place; a second time changes nothing."""
    (path,) = (Path(__file__).resolve().parents[1] / "notebooks").glob("00-*.ipynb")
    notebook = json.loads(path.read_text(encoding="utf-8"))
    if notebook["cells"][0].get("id") == "binder":
        return
    notebook["cells"].insert(0, {"cell_type": "markdown", "id": "binder", "metadata": {}, "source": TEXT})
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
