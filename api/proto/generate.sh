#!/bin/sh
# Makes api/pb of the schema, in the module or below another directory. protoc
# is Debian's protobuf-compiler; the plugins are this module's tools.
set -eu
cd "$(dirname "$0")"
go=${GO:-go}
out=${1:-../..}
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
"$go" build -o "$bin/" google.golang.org/protobuf/cmd/protoc-gen-go connectrpc.com/connect/cmd/protoc-gen-connect-go
rm -rf "$out/api/pb"
PATH=$bin:$PATH protoc -I . \
	--go_out="$out" --go_opt=module=salvor \
	--connect-go_out="$out" --connect-go_opt=module=salvor,simple \
	salvor/v1/*.proto
