#!/bin/sh
# Installs the Python checkers (warcio, pywb) into DIR, unless exactly these
# versions are there already. Prints nothing when there is nothing to do.
#
# usage: install.sh DIR
set -eu
dir=$1
here=$(cd "$(dirname "$0")" && pwd)
if cmp -s "$here/requirements.txt" "$dir/installed.txt"; then exit 0; fi

loud() {
	printf '\n*****************************************************************\n' >&2
	printf '** %s\n' "$@" >&2
	printf '*****************************************************************\n\n' >&2
}

rm -rf "$dir"
mkdir -p "$dir"
if ! python3 -m venv "$dir"; then
	loud "The Python checkers were NOT installed: python3 -m venv failed." \
		"On Debian: apt-get install python3-venv"
	exit 1
fi
if ! "$dir/bin/pip" install --quiet --disable-pip-version-check --retries 3 -r "$here/requirements.txt"; then
	loud "The Python checkers were NOT installed: PyPI does not answer." \
		"Tests that need warcio and pywb cannot run."
	exit 1
fi
cp "$here/requirements.txt" "$dir/installed.txt"
