package archive

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"salvor"
	"salvor/storage/durable"
)

const (
	settingsFile = "settings.json"
	secretsFile  = "secrets.json"
	seedsFile    = "seeds.jsonl"
	statusFile   = "status.json"
	changesFile  = "changes.log"
)

// envelope frames settings.json. Its first field is read before anything
// else, and alone, so that a newer version may change the rest.
type envelope struct {
	Format   int             `json:"format"`
	Writer   string          `json:"written_by"`
	Settings json.RawMessage `json:"settings"`
}

func (d *Dir) checkFormat() error {
	var e envelope
	err := d.load(settingsFile, &e)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if e.Format > Format {
		return salvor.Errorf(salvor.TooNew, "%s was written by a newer version (%s, format %d; this one knows %d)", d.path, e.Writer, e.Format, Format).
			WithHint("install that version, or a later one, to go on with this archive")
	}
	if e.Format < 1 {
		return damaged(salvor.Errorf(salvor.Internal, "%s names no format", d.State(settingsFile)))
	}
	return nil
}

// LoadSettings reads what SaveSettings wrote.
func (d *Dir) LoadSettings(v any) error {
	var e envelope
	if err := d.load(settingsFile, &e); err != nil {
		return err
	}
	if err := json.Unmarshal(e.Settings, v); err != nil {
		return damaged(fmt.Errorf("read %s: %w", d.State(settingsFile), err))
	}
	return nil
}

// damaged is a file of ours that is not as it was written: no mistake of who
// typed the command.
func damaged(err error) error {
	return salvor.Errorf(salvor.Internal, "%w", err).WithHint("the file is damaged: restore it from a copy")
}

// SaveSettings replaces the settings. writer is the program and its version.
func (d *Dir) SaveSettings(writer string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write settings: %w", err)
	}
	return d.save(settingsFile, envelope{Format, writer, raw})
}

// LoadSecrets reads what SaveSecrets wrote; no file leaves v alone.
func (d *Dir) LoadSecrets(v any) error {
	err := d.load(secretsFile, v)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// SaveSecrets replaces the secrets, in a file that only its owner reads.
func (d *Dir) SaveSecrets(v any) error { return replacePrivate(d.State(secretsFile), indented(v)) }

// State of a crawl that is under way, or was when its process died.
const Running = "running"

// Status is how far the archive's crawl is, as the command saw it.
type Status struct {
	State   string    `json:"state"` // Running, or why the last run ended
	Final   bool      `json:"final"` // nothing was left to do
	Round   int       `json:"round"` // 1, and one more with every --again
	Started time.Time `json:"started"`
	Updated time.Time `json:"updated"`
}

// Status of the last run; the zero value when there was none.
func (d *Dir) Status() (Status, error) {
	var s Status
	err := d.load(statusFile, &s)
	if errors.Is(err, fs.ErrNotExist) {
		return Status{}, nil
	}
	return s, err
}

// SetStatus replaces the status.
func (d *Dir) SetStatus(s Status) error { return d.save(statusFile, s) }

// LogChange appends what an operator changed to state/changes.log, durably.
func (d *Dir) LogChange(at time.Time, lines ...string) error {
	if len(lines) == 0 {
		return nil
	}
	f, err := os.OpenFile(d.State(changesFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return durable.Error(err, "open", d.State(changesFile))
	}
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "%s %s\n", at.UTC().Format(time.RFC3339), l)
	}
	_, err = io.WriteString(f, b.String())
	if err == nil {
		err = f.Sync()
	}
	return durable.Error(errors.Join(err, f.Close()), "write", d.State(changesFile))
}

// Changes lists the lines of state/changes.log.
func (d *Dir) Changes() ([]string, error) {
	b, err := os.ReadFile(d.State(changesFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, durable.Error(err, "read", d.State(changesFile))
	}
	return strings.Split(strings.TrimRight(string(b), "\n"), "\n"), nil
}

// SaveSeeds replaces the list of seeds: one JSON value a line.
func SaveSeeds[T any](d *Dir, seeds []T) error {
	return durable.WriteFile(d.State(seedsFile), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		for _, s := range seeds {
			if err := enc.Encode(s); err != nil {
				return err
			}
		}
		return nil
	})
}

// LoadSeeds reads what SaveSeeds wrote.
func LoadSeeds[T any](d *Dir) ([]T, error) {
	f, err := os.Open(d.State(seedsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, durable.Error(err, "read", d.State(seedsFile))
	}
	defer f.Close()
	var out []T
	dec := json.NewDecoder(bufio.NewReaderSize(f, 1<<16))
	for {
		var s T
		if err := dec.Decode(&s); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, damaged(fmt.Errorf("read %s: %w", d.State(seedsFile), err))
		}
		out = append(out, s)
	}
}

func (d *Dir) load(name string, v any) error {
	b, err := os.ReadFile(d.State(name))
	if err != nil {
		return durable.Error(err, "read", d.State(name))
	}
	if err := json.Unmarshal(b, v); err != nil {
		return damaged(fmt.Errorf("read %s: %w", d.State(name), err))
	}
	return nil
}

func (d *Dir) save(name string, v any) error {
	return durable.WriteFile(d.State(name), indented(v))
}

func indented(v any) func(io.Writer) error {
	return func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(v)
	}
}
