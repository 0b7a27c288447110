package drill

import (
	"embed"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"salvor"
	"salvor/cmd/salvor/internal/drill/platform"
	"salvor/storage/durable"
)

//go:embed scenarios
var shipped embed.FS

// suffix is how the name of a scenario's file ends.
const suffix = ".drill"

// first are the scenarios that a list begins with.
var first = []string{"twelve", "brief"}

// Names are all scenarios that ship.
func Names() []string {
	names := slices.Clone(first)
	files, err := fs.Glob(shipped, "scenarios/*"+suffix)
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for _, f := range files {
		if name := strings.TrimSuffix(path.Base(f), suffix); !slices.Contains(first, name) {
			names = append(names, name)
		}
	}
	return names
}

// Source is the text of a scenario: one that ships, by its name, or a file.
func Source(name string) ([]byte, error) {
	if b, err := shipped.ReadFile("scenarios/" + name + suffix); err == nil {
		return b, nil
	}
	b, err := os.ReadFile(name)
	if err == nil {
		return b, nil
	}
	if !strings.ContainsAny(name, "./") && os.IsNotExist(err) {
		return nil, salvor.Errorf(salvor.NotFound, "there is no scenario %q", name).WithHint("see: salvor drill list")
	}
	return nil, durable.Error(err, "read", name)
}

// Find reads a scenario: one that ships, by its name, or a file.
func Find(name string) (Scenario, error) {
	b, err := Source(name)
	if err != nil {
		return Scenario{}, err
	}
	return Parse(name, strings.NewReader(string(b)))
}

// tiers are those of most platforms: few pages that everybody wants, and many.
func tiers(value float64) []platform.Tier {
	return []platform.Tier{{Share: .1, Value: 10 * value}, {Share: .3, Value: 3 * value}, {Share: .6, Value: value}}
}
