#!/bin/sh
# Pins in requirements/NAME.txt all that requirements/NAME.in needs; releases that are pinned already stay.
set -eu
cd "$(dirname "$0")/.."
name=$1 uv=build/uv/bin/uv
$uv pip compile "requirements/$name.in" --python-version 3.11 --no-annotate --no-header --quiet \
    --output-file "requirements/$name.txt"
# A build's own suffix, such as torch's +cpu, is not a release that others can ask for. CUDA's
# libraries are torch's to name: its processor build has none.
{
    echo "# Made from $name.in by \`make lock\`. Do not edit."
    sed 's/+c[pu][u0-9]*$//' "requirements/$name.txt" | grep -v '^#' \
        | { [ "$name" = gpu ] && cat || grep -vE '^(nvidia-(c|n)|cuda-|triton==)'; }
} > "requirements/$name.lock"
mv "requirements/$name.lock" "requirements/$name.txt"
