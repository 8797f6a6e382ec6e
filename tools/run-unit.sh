#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the host unit tests given after the output folder, as many at a time as there are CPUs, and
# adds up their cases. A program that ends without cmocka's result line, or with a bad status though
# no case failed, is one failure. Leaves "PASSED FAILED" in OUT/results/unit.
set -u
export ASAN_OPTIONS="${ASAN_OPTIONS:-detect_leaks=1:abort_on_error=0}"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:-print_stacktrace=1}"

# one of them: its output into a log, its status into a file beside that
if [ "$1" = --one ]; then
    log=$2/results/$(basename "$3").log
    rm -f "$log.status"
    timeout "${UNIT_TIMEOUT:-120}" "$3" >"$log" 2>&1 </dev/null
    echo $? >"$log.status"
    exit 0
fi

out=$1
shift
mkdir -p "$out/results"
rm -f "$out/results/unit"
passed=0
failed=0
[ $# -eq 0 ] || printf '%s\n' "$@" | xargs -P "$(nproc)" -n 1 "$0" --one "$out"
for test; do
    name=$(basename "$test")
    log=$out/results/$name.log
    status=$(cat "$log.status") || status=1
    rm -f "$log.status"
    # one line a group: "[  PASSED  ] 5 test(s)." and, if any, "[  FAILED  ] 2 test(s), listed below:"
    p=$(awk '/^\[  PASSED  \] [0-9]+ test/ { n += $4 } END { print n + 0 }' "$log")
    f=$(awk '/^\[  FAILED  \] [0-9]+ test/ { n += $4 } END { print n + 0 }' "$log")
    if ! grep -q '^\[  PASSED  \]' "$log" || { [ $status -ne 0 ] && [ "$f" -eq 0 ]; }; then
        f=$((f + 1))
    fi
    passed=$((passed + p))
    failed=$((failed + f))
    if [ "$f" -eq 0 ]; then
        printf 'ok      %-28s %3d passed\n' "$name" "$p"
    else
        printf 'FAILED  %-28s %3d passed, %d failed (exit status %d)\n' "$name" "$p" "$f" "$status"
        grep -v '^\[       OK \]\|^\[ RUN      \]' "$log" | tail -n 40 | sed 's/^/    /'
    fi
done
echo "$passed $failed" >"$out/results/unit"
echo "unit: $passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
