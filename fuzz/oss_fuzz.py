"""What OSS-Fuzz needs of a harness (fuzz/oss-fuzz/build.sh): its entry point, its seeds, its dictionary.

`python -m fuzz.oss_fuzz FOLDER` writes `fuzz_NAME.py` for each harness into FOLDER,
and the files beside it that OSS-Fuzz looks for: `fuzz_NAME_seed_corpus.zip`, `fuzz_NAME.dict`.
"""

import shutil
import sys
import zipfile
from hashlib import sha1
from pathlib import Path

from fuzz.harnesses import HARNESSES, corpus, dictionary

ENTRY = '''"""A target of OSS-Fuzz; options of libFuzzer, among them a folder of inputs."""

import sys

import atheris

with atheris.instrument_imports(include=["proxy", "yaml", "json", "email", "http", "urllib"]):
    from fuzz.harnesses import HARNESSES

atheris.Setup(sys.argv, HARNESSES["{name}"])
atheris.Fuzz()
'''


def write(folder: Path) -> list[str]:
    """Write the files of every harness; return the names of the targets."""
    folder.mkdir(parents=True, exist_ok=True)
    targets = {name: f"fuzz_{name.replace('-', '_')}" for name in HARNESSES}
    for name, target in targets.items():
        (folder / f"{target}.py").write_text(ENTRY.format(name=name), encoding="utf-8")
        shutil.copyfile(dictionary(name), folder / f"{target}.dict")
        with zipfile.ZipFile(folder / f"{target}_seed_corpus.zip", "w") as seeds:
            inputs = {sha1(each, usedforsecurity=False).hexdigest(): each for each in corpus(name)}
            for file, content in inputs.items():
                seeds.writestr(file, content)
    return list(targets.values())


if __name__ == "__main__":
    print("\n".join(write(Path(sys.argv[1]))))
