package cli

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/pflag"
	"gopkg.in/yaml.v3"

	"salvor"
	"salvor/storage/durable"
)

// maxConfig bounds a configuration file.
const maxConfig = 1 << 20

// configure sets what a configuration file says, as if it had been given as
// flags: its keys are the flags' long names. What the command line says counts
// more.
func configure(fs *pflag.FlagSet, command, file string) error {
	doc, err := readConfig(file)
	if err != nil || doc == nil {
		return err
	}
	if doc.Kind != yaml.MappingNode {
		return salvor.Errorf(salvor.Invalid, "%s:%d: it is not a list of settings", file, doc.Line).WithHint("write one setting a line, as in: store: s3://bucket/prefix")
	}
	given, seen := map[string]bool{}, map[string]bool{}
	fs.Visit(func(f *pflag.Flag) { given[f.Name] = true })
	for i := 0; i+1 < len(doc.Content); i += 2 {
		name, value := doc.Content[i], doc.Content[i+1]
		f := fs.Lookup(name.Value)
		if f == nil || name.Value == "config" || name.Value == "help" {
			return salvor.Errorf(salvor.Invalid, "%s:%d: there is no setting %q", file, name.Line, name.Value).WithHint("the settings are the long names of the flags: salvor help %s", command)
		}
		if seen[f.Name] {
			return salvor.Errorf(salvor.Invalid, "%s:%d: %s is there twice", file, name.Line, f.Name).WithHint("leave one of them out")
		}
		if seen[f.Name] = true; given[f.Name] {
			continue
		}
		err := setAll(fs, f.Name, value)
		if err != nil {
			return salvor.Errorf(salvor.Invalid, "%s:%d: %s: %w", file, value.Line, f.Name, plainError(err)).WithHint("%s", salvor.HintOf(err))
		}
	}
	return nil
}

// setAll sets a flag once, or once for each value of a list.
func setAll(fs *pflag.FlagSet, name string, value *yaml.Node) error {
	switch value.Kind {
	case yaml.ScalarNode:
		return fs.Set(name, value.Value)
	case yaml.SequenceNode:
		if len(value.Content) > 1 && fs.Lookup(name).Value.Type() != "list" {
			return errors.New("it takes one value, and here are several")
		}
		for _, v := range value.Content {
			if v.Kind != yaml.ScalarNode {
				return errors.New("a list of lists")
			}
			if err := fs.Set(name, v.Value); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("neither a value nor a list of values")
}

// readConfig is the file's document; nil when it says nothing.
func readConfig(file string) (*yaml.Node, error) {
	f, err := os.Open(file)
	if err != nil {
		err = durable.Error(err, "open", file)
		return nil, salvor.Errorf(salvor.ClassOf(err), "%w", err).WithHint("name a file of settings that this user can read, or leave --config out")
	}
	defer f.Close()
	var doc, more yaml.Node
	in := yaml.NewDecoder(io.LimitReader(f, maxConfig))
	switch err := in.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, salvor.Errorf(salvor.Invalid, "%s: %w", file, err).WithHint("write YAML: one setting a line, as in: max-rate: 5")
	case len(doc.Content) == 0:
		return nil, nil
	}
	if err := in.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, salvor.Errorf(salvor.Invalid, "%s: there is more than one document in it", file).WithHint("leave out the line ---")
	}
	return doc.Content[0], nil
}

func configError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("--config: %w", err)
}
