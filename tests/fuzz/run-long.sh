#!/bin/sh
# Fuzzes with libFuzzer, ASan and UBSan: each target in one process, all side by side.
#
#   tests/fuzz/run-long.sh [--seconds N] [TARGET...]   default: 1800 s of bundle (reading), http and judge
#   tests/fuzz/run-long.sh --keep [TARGET...]          merges what reached new code into tests/fuzz/corpus
#
# Needs clang.  Works in build-fuzz/: the log and the last numbers of each target in TARGET.log, its inputs in
# found/TARGET; an input that fails is left as failed-TARGET-*.  Exit status 0 only if nothing failed.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
cd "$top"
work=build-fuzz
seconds=1800
keep=
while [ $# -gt 0 ]; do
	case $1 in
	--seconds) seconds=$2; shift ;;
	--keep) keep=yes ;;
	-*) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 64 ;;
	*) break ;;
	esac
	shift
done
[ $# -gt 0 ] || set -- bundle http judge

fuzz() {
	target=$1
	shift
	"$work/tests/fuzz/fuzz_$target" -max_len=16384 -rss_limit_mb=2048 -timeout=30 -dict=tests/fuzz/words.dict "$@"
}

# By edges alone, so that the corpus stays small; its own files stay.
keep() {
	fuzz "$1" -merge=1 -use_counters=0 "tests/fuzz/corpus/$1" "$work/found/$1" 2>&1 | tail -n 2
	for file in "tests/fuzz/corpus/$1"/*; do
		name=${file##*/}
		if [ ${#name} -eq 40 ] && [ -z "$(printf %s "$name" | tr -d 0-9a-f)" ]; then
			mv "$file" "tests/fuzz/corpus/$1/found-$(printf %.12s "$name")"
		fi
	done
}

if [ -n "$keep" ]; then
	for target in "$@"; do
		keep "$target"
	done
	exit 0
fi

contrib/build $work CC=clang --enable-sanitizers \
	CFLAGS='-O1 -g -fsanitize=fuzzer-no-link -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION'
running=
for target in "$@"; do
	make -s -C $work "tests/fuzz/fuzz_$target"
	mkdir -p "$work/found/$target"
done
for target in "$@"; do
	fuzz "$target" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$work/failed-$target-" \
		"$work/found/$target" "tests/fuzz/corpus/$target" >"$work/$target.log" 2>&1 </dev/null &
	running="$running $!"
done
failed=0
for process in $running; do
	wait "$process" || failed=$((failed + 1))
done
for target in "$@"; do
	echo "== $target"
	grep -E 'INITED|DONE|ERROR|SUMMARY|bug:|^Done|^stat::' "$work/$target.log" || true
done
echo "$failed failed"
[ "$failed" -eq 0 ]
