#!/bin/sh
# SPDX-License-Identifier: MIT
# All tests in order, whatever fails on the way; the last line adds them up:
# "N passed, N failed". Called by `make check`, which builds everything first.
set -u
O=${O:-build}
mkdir -p "$O/results"
rm -f "$O/results/unit" "$O/results/lint" "$O/results/llvm" "$O/results/qemu" "$O/results/summary"
start=$(date +%s)
# shellcheck disable=SC2086 # a list
tools/run-unit.sh "$O" ${UNIT:-}
/usr/bin/python3 tools/lint.py
tools/check-llvm.sh
tools/run-pytest.sh

passed=0
failed=0
for part in unit lint llvm qemu; do
    if read -r p f <"$O/results/$part"; then
        passed=$((passed + p))
        failed=$((failed + f))
    else
        failed=$((failed + 1))
    fi 2>/dev/null
done
echo "check: $(($(date +%s) - start)) s"
echo "$passed passed, $failed failed" | tee "$O/results/summary"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
