#!/usr/bin/env python3
"""Makes the files of this directory from the PyPI package `dst-fsv` 0.1.0.

    python3 convert.py PACKAGE_DIRECTORY     write the three tables and dst-fsv.json
    python3 convert.py --check               compare the tables with dst-fsv.json

PACKAGE_DIRECTORY is the installed `dst_fsv` directory, or the one in the unpacked wheel. The text of every field is kept as
it is; only columns are left out (see COLUMNS), and the table of registers is put in order. Compression is deterministic for
one version of zlib; the digests in dst-fsv.json are of the uncompressed tables, so that they do not depend on it.
Standard library only.
"""

import csv
import gzip
import hashlib
import io
import json
import pathlib
import sys

PACKAGE = "dst-fsv"
VERSION = "0.1.0"
SNAPSHOT = "2026-08-30"

COLUMNS = {
    "registers": ["register", "title_da", "title_en", "url_datasets", "url_history"],
    "datasets": [
        "register",
        "dataset",
        "created_raw",
        "created_iso",
        "n_variables",
        "n_observations",
        "n_bytes",
        "raw",
    ],
    "history": [
        "register",
        "category_da",
        "category_en",
        "reason_da",
        "reason_en",
        "update_date",
        "effective_from",
        "effective_to",
        "paid",
    ],
}


def read_package_table(package, name):
    packed = (package / "data" / (name + ".csv.gz")).read_bytes()
    text = gzip.decompress(packed).decode("utf-8")
    # newline="": the reasons of the history hold line breaks of their own.
    return list(csv.DictReader(io.StringIO(text, newline="")))


def write_table(rows, columns):
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([row[column] for column in columns])
    return out.getvalue().encode("utf-8")


def check_listing_line(row):
    """The parsed columns of a data set must be those of the listing's own line."""
    dataset, created, variables, observations, size = row["raw"].split(" | ")
    plain = "" if observations == "." else observations.replace(".", "")
    parsed = (dataset, created, variables, plain, size.replace(".", ""))
    columns = ("dataset", "created_raw", "n_variables", "n_observations", "n_bytes")
    if parsed != tuple(row[column] for column in columns):
        sys.exit("the listing line disagrees with its columns: " + row["raw"])


def convert(package, here):
    manifest = {
        "form": "dst-fsv/1",
        "package": PACKAGE,
        "version": VERSION,
        "snapshot": SNAPSHOT,
        "publisher": "Danmarks Statistik",
        "source_url": "https://www.dst.dk/extranet/forskningvariabellister/",
        "files": {},
    }
    for name, columns in COLUMNS.items():
        rows = read_package_table(package, name)
        if name == "registers":
            rows.sort(key=lambda row: row["register"])
        if name == "datasets":
            for row in rows:
                check_listing_line(row)
        table = write_table(rows, columns)
        (here / (name + ".csv.gz")).write_bytes(gzip.compress(table, compresslevel=9, mtime=0))
        manifest["files"][name + ".csv.gz"] = {
            "rows": len(rows),
            "sha256": hashlib.sha256(table).hexdigest(),
        }
    text = json.dumps(manifest, ensure_ascii=False, indent=2) + "\n"
    (here / "dst-fsv.json").write_text(text, encoding="utf-8")


def check(here):
    manifest = json.loads((here / "dst-fsv.json").read_text(encoding="utf-8"))
    for name, declared in manifest["files"].items():
        table = gzip.decompress((here / name).read_bytes())
        if hashlib.sha256(table).hexdigest() != declared["sha256"]:
            sys.exit(name + " is not the table that dst-fsv.json describes")
        print(name, declared["rows"], "rows", len(table), "bytes")


if __name__ == "__main__":
    directory = pathlib.Path(__file__).resolve().parent
    if sys.argv[1:] == ["--check"]:
        check(directory)
    elif len(sys.argv) == 2:
        convert(pathlib.Path(sys.argv[1]), directory)
    else:
        sys.exit(__doc__)
