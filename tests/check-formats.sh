#!/bin/sh
# Proves that those who are to read the machine-readable reports of a check do: python and jq the JSON, and the example
# in doc/check-json.md is what is printed; prove the TAP, and it fails exactly where the command does; python and
# xmllint the JUnit XML.  A reader that is not installed is left out, and said so.
set -u

top=${srcdir:-$(dirname "$0")/..}
show=${builddir:-.}/tests/show-check
[ -x "$show" ] || {
	echo "check-formats: $show is not a program; set builddir" >&2
	exit 1
}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
readers=

fail() {
	echo "check-formats: $*" >&2
	failed=1
}

have() {
	command -v "$1" >/dev/null 2>&1 || {
		echo "check-formats: no $1 here, its part is left out"
		return 1
	}
	readers="$readers $1"
}

for name in $("$show"); do
	"$show" "$name" json >"$work/$name.json" || fail "$name: no JSON"
	"$show" "$name" tap >"$work/$name.tap" || fail "$name: no TAP"
	"$show" "$name" junit >"$work/$name.xml" || fail "$name: no JUnit"
	"$show" "$name" status >"$work/$name.status"
done

sed -n '/^```json$/,/^```$/p' "$top/doc/check-json.md" | sed '/^```/d' >"$work/example"
diff -u "$work/example" "$work/untrusted.json" >&2 || fail "doc/check-json.md: the example is not what is printed"

if have jq; then
	jq -r '.. | objects | keys_unsorted[]' "$work"/*.json | sort -u | while read -r key; do
		grep -q "\`$key\`" "$top/doc/check-json.md" || echo "$key"
	done >"$work/undocumented"
	[ -s "$work/undocumented" ] && fail "keys not in doc/check-json.md:" $(cat "$work/undocumented")
	[ "$(jq -r '.paths[0].stages.connect.ms' "$work/passed.json")" = 12.044 ] || fail "µs are lost in the JSON"
	[ "$(jq -c '[.paths[].verdict]' "$work/mixed.json")" = \
		'["clean","clean","inspected","broken","blocked"]' ] || fail "verdicts of mixed"
fi

if have prove; then
	for name in $("$show"); do
		wanted=$(cat "$work/$name.status")
		cat "$work/$name.tap" >"$work/$name.t"
		prove -Q --exec cat "$work/$name.t" >"$work/prove" 2>&1
		got=$?
		grep -qi 'parse error' "$work/prove" && fail "$name: $(cat "$work/prove")"
		[ $((wanted != 0)) -eq $((got != 0)) ] || fail "$name: status $wanted, but prove $got: $(cat "$work/prove")"
	done
fi

if have perl && perl -MTAP::Parser -e 1 2>/dev/null; then
	perl -MTAP::Parser -e '
		my $parser = TAP::Parser->new({source => $ARGV[0]});
		my ($yaml, $skipped) = (0, 0);
		while (my $result = $parser->next) {
			die "unknown: " . $result->as_string if $result->is_unknown;
			$skipped++ if $result->is_test && $result->has_skip;
			next unless $result->is_yaml;
			$yaml++;
			my $code = $result->data->{code};
			die "no remedy for $code" if defined $code && !$result->data->{remedy};
		}
		die "@{[$parser->parse_errors]}" if $parser->parse_errors;
		die "$yaml blocks, $skipped left out" unless $yaml == $ARGV[1] && $skipped == $ARGV[2];
	' "$work/rules.tap" 12 3 || fail "rules: TAP::Parser"
	perl -MTAP::Parser -e '
		my $parser = TAP::Parser->new({source => $ARGV[0]});
		while (my $result = $parser->next) {
			next unless $result->is_yaml && ($result->data->{code} // "") eq "proxy-status";
			exit(index($result->data->{message}, q(\xe4\xf6\xfc\x00\x1b[31m <b>&)) < 0);
		}
		exit 1;
	' "$work/long.tap" || fail "long: foreign text does not come through TAP"
fi

if have xmllint; then
	xmllint --noout "$work"/*.xml || fail "xmllint"
fi

if have python3; then
	python3 - "$work" <<-'PYTHON' || fail "python"
	import json
	import pathlib
	import sys
	import xml.etree.ElementTree

	for status in sorted(pathlib.Path(sys.argv[1]).glob("*.status")):
	    report = json.loads(status.with_suffix(".json").read_text("ascii"))
	    assert report["version"] == 1 and report["exit_status"] == int(status.read_text()), status
	    root = xml.etree.ElementTree.fromstring(status.with_suffix(".xml").read_text("ascii"))
	    cases = root.findall("testsuite/testcase")
	    failures = root.findall("testsuite/testcase/failure")
	    assert root.tag == "testsuites" and int(root.get("tests")) == len(cases), status
	    assert int(root.get("failures")) == len(failures), status
	    assert (len(failures) > 0) == (report["exit_status"] != 0), status
	    assert all(failure.get("message") and failure.get("type") for failure in failures), status
	    seconds = sum(float(case.get("time")) for case in cases)
	    total = sum(path["total_ms"] for path in report["paths"]) / 1000
	    assert abs(seconds - total) < 1e-4, (status, seconds, total)
	    if status.stem == "long":
	        assert any("\\xe4\\xf6\\xfc\\x00\\x1b[31m <b>&'" in f.get("message") for f in failures), status
	PYTHON
fi

[ "$failed" -eq 0 ] && echo "check-formats: read by$readers"
exit "$failed"
