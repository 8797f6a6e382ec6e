#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the QEMU tests with Debian's python3 and leaves "PASSED FAILED" in OUT/results/qemu. A run
# that was cut short counts as a failure; skipped tests count as neither.
# All of them run as many at a time as there are CPUs (tests/qemu/conftest.py says who beside whom);
# a selection, by pytest's arguments, runs one after the other, and -s shows what it prints.
set -u
[ $# -gt 0 ] || set -- -n "$(nproc)" --dist loadgroup --max-worker-restart=0
O=${O:-build}
mkdir -p "$O/results"
rm -f "$O/results/qemu"
log=$O/results/pytest.log
status_file=$O/results/pytest.status
export PYTHONDONTWRITEBYTECODE=1
export TARN_BUILD="$O"
{
    /usr/bin/python3 -m pytest -p no:cacheprovider -rs -q --tb=short --color=no tests/qemu "$@" </dev/null
    echo $? >"$status_file"
} 2>&1 | tee "$log"
# the last line: "2 failed, 10 passed, 1 skipped, 1 error in 3.21s"
count() {
    tail -n 1 "$log" | awk -v what="$1" 'BEGIN { RS = ","; n = 0 } $2 ~ "^" what "s?$" { n += $1 } END { print n }'
}
passed=$(count passed)
failed=$(($(count failed) + $(count error)))
status=$(cat "$status_file")
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "$passed $failed" >"$O/results/qemu"
echo "qemu: $passed passed, $failed failed"
exit "$status"
