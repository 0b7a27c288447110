#!/bin/sh
# Runs every fuzz target of the module for a while, one after another: go test
# takes only one at a time.
#
# usage: fuzz.sh TIME
set -eu
go=${GO:-go}
for pkg in $($go list ./...); do
	for target in $($go test -list '^Fuzz' "$pkg" | grep '^Fuzz' || true); do
		echo "== $pkg $target"
		$go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" "$pkg"
	done
done
