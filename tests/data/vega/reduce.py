#!/usr/bin/env python3
"""Reduces an unpacked npm `vega-datasets` 3.2.1 to the resources of this directory.

    python3 reduce.py PACKAGE_DIRECTORY

PACKAGE_DIRECTORY is the `package` directory that `npm pack vega-datasets@3.2.1` holds. The script copies the data files
byte for byte, writes `datapackage.json` with the other resources taken out, and prints the table of README.md. It stops
if a file disagrees with the size or the hash that the data package declares. Standard library only.
"""

import hashlib
import json
import pathlib
import shutil
import sys

# Resources whose bytes may be passed on.
WITH_BYTES = {
    "airports",
    "co2_concentration",
    "flights_2k",
    "flights_5k",
    "flights_airport",
    "iowa_electricity",
    "london_boroughs",
    "london_centroids",
    "penguins",
    "seattle_weather",
    "unemployment",
    "weather",
}
# Resources of which only the record is kept: no licence, restrictive terms, or too large.
RECORD_ONLY = {"disasters", "driving", "flights_3m", "stocks"}


def git_blob_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def main():
    package = pathlib.Path(sys.argv[1])
    here = pathlib.Path(__file__).resolve().parent
    descriptor = json.loads((package / "datapackage.json").read_text(encoding="utf-8"))
    if descriptor["version"] != "3.2.1":
        sys.exit("this is version " + descriptor["version"] + ", expected 3.2.1")
    wanted = WITH_BYTES | RECORD_ONLY
    descriptor["resources"] = [r for r in descriptor["resources"] if r["name"] in wanted]
    if len(descriptor["resources"]) != len(wanted):
        sys.exit("a resource is missing upstream")
    text = json.dumps(descriptor, ensure_ascii=False, indent=2) + "\n"
    (here / "datapackage.json").write_text(text, encoding="utf-8")

    for resource in descriptor["resources"]:
        if resource["name"] in RECORD_ONLY:
            continue
        source = package / "data" / resource["path"]
        data = source.read_bytes()
        if len(data) != resource["bytes"] or "sha1:" + git_blob_sha1(data) != resource["hash"]:
            sys.exit(resource["path"] + " is not the file that datapackage.json describes")
        shutil.copyfile(source, here / resource["path"])
        print(f"| `{resource['path']}` | {len(data)} | `{hashlib.sha256(data).hexdigest()}` |")


if __name__ == "__main__":
    main()
