#!/bin/sh
# Proves, case by case, what `midrelay config` makes of a file: tests/config/CASE/midrelay.ini gives either the text
# in `expected` (status 0; stderr as in `notes`, or nothing) or the faults in `error` (status 78, nothing on stdout).
# Names of cases as arguments run those alone.
set -u

top=${srcdir:-$(dirname "$0")/..}
[ -d "$top/tests/config" ] || top=$top/..
midrelay=${MIDRELAY:-./midrelay}
case $midrelay in
/*) ;;
*) midrelay=$(pwd)/$midrelay ;;
esac
[ -x "$midrelay" ] || {
    echo "check-config-cases: $midrelay is not a program; set MIDRELAY" >&2
    exit 1
}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
ran=0
failed=0

fail() {
    echo "check-config-cases: $1: $2" >&2
    failed=$((failed + 1))
}

# compare CASE WHAT EXPECTED-FILE ACTUAL-FILE
compare() {
    diff -u "$3" "$4" >"$work/diff" && return
    fail "$1" "$2 differs (- as it should be, + as it is):"
    sed 1,2d "$work/diff" >&2
}

run_case() {
    name=$(basename "$1")
    rm -rf "$work/case"
    mkdir "$work/case" || exit 1
    cp "$1"/* "$work/case" || exit 1
    # A checkout may have made them readable for all, which secrets must not be.
    chmod 600 "$work/case"/*
    ran=$((ran + 1))
    (
        cd "$work/case" || exit 1
        unset CREDENTIALS_DIRECTORY
        MIDRELAY_TEST_SECRET=hunter2 "$midrelay" config -c midrelay.ini >"$work/out" 2>"$work/err"
    )
    status=$?
    : >"$work/empty"
    if [ -f "$1/error" ] && [ ! -f "$1/expected" ]; then
        [ $status -eq 78 ] || fail "$name" "exit status $status, not 78"
        compare "$name" stderr "$1/error" "$work/err"
        compare "$name" stdout "$work/empty" "$work/out"
    elif [ -f "$1/expected" ] && [ ! -f "$1/error" ]; then
        notes=$work/empty
        [ ! -f "$1/notes" ] || notes=$1/notes
        [ $status -eq 0 ] || fail "$name" "exit status $status, not 0"
        compare "$name" stdout "$1/expected" "$work/out"
        # Every case has a listener that is open to all accounts; tests/integration/test_allow_user.py proves that note.
        grep -v 'allow_user says which$' "$work/err" >"$work/said"
        compare "$name" stderr "$notes" "$work/said"
    else
        fail "$name" "a case has either an expected or an error"
    fi
    if grep -q hunter2 "$work/out" "$work/err"; then
        fail "$name" "a secret is shown"
    fi
}

if [ $# -gt 0 ]; then
    for name; do
        run_case "$top/tests/config/$name"
    done
else
    for directory in "$top"/tests/config/*/; do
        run_case "${directory%/}"
    done
fi
[ $ran -gt 0 ] || {
    echo "check-config-cases: no case found in $top/tests/config" >&2
    exit 1
}
echo "check-config-cases: $ran cases, $failed failures"
[ $failed -eq 0 ]
