"""``python -m minibn.pictures FOLDER [NAME ...]``: write all pictures, or those named, and their captions."""

import argparse
import json
from pathlib import Path

from minibn.pictures import PICTURES, captions, write


def main(arguments=None):
    """Write the pictures, saying which file is how large."""
    parser = argparse.ArgumentParser(prog="python -m minibn.pictures", description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"out of {', '.join(PICTURES)}; all if none is named")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in PICTURES]
    if unknown:
        parser.error(f"no picture called {', '.join(unknown)}; choose out of {', '.join(PICTURES)}")
    for name in options.names or PICTURES:
        for path in write(PICTURES[name], options.folder):
            print(f"{path}  {path.stat().st_size / 1024:.0f} KiB")
    table = json.dumps(captions(options.folder), indent=1, ensure_ascii=False)
    (Path(options.folder) / "captions.json").write_text(table + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
