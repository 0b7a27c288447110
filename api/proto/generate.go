// Package proto holds the schema of api as it travels: salvor/v1/*.proto. The
// code made of it is in api/pb, and committed; `make generate` makes it anew
// and needs protoc, the plugins are pinned in go.mod.
package proto

//go:generate ./generate.sh
