#!/bin/sh
# Resolves requirements/NAME.in in a fresh environment and pins all of it in requirements/NAME.txt.
set -eu
name=$1 python=${2:-python3.11}
folder=$(cd "$(dirname "$0")" && pwd)
environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT
"$python" -m venv "$environment"
"$environment/bin/pip" install --quiet --requirement "$folder/$name.in"
{
    echo "# Made from $name.in by \`make lock\`. Do not edit."
    # A build's own suffix, such as torch's +cpu, is not a release that others can ask for. CUDA's
    # libraries are torch's to name: its processor build has none.
    "$environment/bin/pip" freeze | sed 's/+c[pu][u0-9]*$//' \
        | { [ "$name" = gpu ] && cat || grep -vE '^(nvidia-|cuda-|triton==)'; }
} > "$environment/lock"
mv "$environment/lock" "$folder/$name.txt"
