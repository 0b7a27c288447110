#!/bin/sh
# Builds the MinIO server into DIR, unless exactly this version is there
# already. It is a second opinion for the tests of storage/s3: a process of
# its own, never linked (AGPL, and no longer maintained). Go's module proxy
# has its source; the build takes some minutes once.
#
# usage: minio.sh DIR    afterwards DIR/minio is the server
set -eu
version=v0.0.0-20260212201848-7aac2a2c5b7c
dir=$1
GO=${GO:-go}
if [ -x "$dir/minio" ] && [ "$(cat "$dir/installed.txt" 2>/dev/null)" = "$version" ]; then exit 0; fi

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
rm -f "$dir/minio" "$dir/installed.txt"
# -p 1: one package at a time, as the linker alone takes a gigabyte.
if ! (cd / && GOFLAGS= CGO_ENABLED=0 GOBIN="$dir" "$GO" install -p 1 "github.com/minio/minio@$version"); then
	cat >&2 <<END

*****************************************************************
** MinIO was NOT built: $GO install github.com/minio/minio failed.
** The tests of storage/s3 against a MinIO process cannot run.
*****************************************************************

END
	exit 1
fi
echo "$version" >"$dir/installed.txt"
