#!/bin/sh
# SPDX-License-Identifier: MIT
# All tests, whatever fails on the way; the last line adds them up: "N passed, N failed". Called by
# `make check`, which builds everything first. What runs on the host alone, and clang's build, share
# the CPUs; the machines have them for themselves.
set -u
O=${O:-build}
mkdir -p "$O/results"
rm -f "$O/results/unit" "$O/results/model" "$O/results/lint" "$O/results/llvm" "$O/results/qemu" "$O/results/summary"
start=$(date +%s)
{
    /usr/bin/python3 tools/lint.py
    tools/check-llvm.sh
} >"$O/results/rules.log" 2>&1 &
# shellcheck disable=SC2086 # a list
tools/run-unit.sh "$O" ${UNIT:-}
/usr/bin/python3 tests/model/run.py
wait
cat "$O/results/rules.log"
tools/run-pytest.sh

passed=0
failed=0
for part in unit model lint llvm qemu; do
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
