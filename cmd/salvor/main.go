// Salvor saves web sites before they are gone. See `salvor help`.
package main

import (
	"context"
	"os"

	"salvor/cmd/salvor/internal/cli"
	"salvor/cmd/salvor/internal/rescue"
)

func main() {
	p := cli.Program{Engine: rescue.Engine{}}
	os.Exit(p.Run(context.Background(), os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}
