"""One fuzzer: `python -m fuzz HARNESS FOLDER OPTION...`, options of libFuzzer; `fuzz/run` is the door.

FOLDER takes what it finds, and is filled with the corpus first.
"""

import sys
from hashlib import sha1
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["proxy", "yaml", "json", "email", "http", "urllib"]):
    from fuzz.harnesses import HARNESSES, corpus, dictionary


def main(name: str, folder: Path, *options: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for octets in corpus(name):
        (folder / sha1(octets, usedforsecurity=False).hexdigest()).write_bytes(octets)
    atheris.Setup([sys.argv[0], *options, f"-dict={dictionary(name)}", str(folder)], HARNESSES[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
