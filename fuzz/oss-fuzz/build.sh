#!/bin/bash -eu
# Builds every harness of fuzz/harnesses.py into $OUT, in OSS-Fuzz' image, in a clone of the repository. The packages are
# those of the lock files, by hash, but atheris, which the image has, linked with its own libFuzzer.
awk '/^[^ ]/ { keep = !/^atheris==/ } keep' fuzz/requirements.lock >"$SRC/fuzz-without-atheris.lock"
python3 -m pip install --require-hashes --requirement requirements.lock --requirement "$SRC/fuzz-without-atheris.lock"

# The targets lie in the clone, beside the packages `fuzz` and `proxy`. pyinstaller looks for data and submodules in a
# process of its own, which needs the path.
export PYTHONPATH="$PWD"
python3 -m fuzz.oss_fuzz .
for target in fuzz_*.py; do
  # --collect-data: operations.tsv, upgrades.toml; the submodules are those that are imported inside functions.
  compile_python_fuzzer "$target" --collect-data proxy --collect-submodules proxy
  cp "${target%.py}_seed_corpus.zip" "${target%.py}.dict" "$OUT/"
done
