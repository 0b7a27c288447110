package value

import (
	"math"
	"strings"
	"testing"
	"time"

	"salvor"
)

func TestSize(t *testing.T) {
	for in, want := range map[string]int64{
		"0": 0, "none": 0, "4096": 4096, "1 GB": 1e9, "500MB": 5e8, "1.5GiB": 3 << 29, "64k": 64 << 10,
		"2M": 2 << 20, "1g": 1 << 30, "3T": 3 << 40, "10B": 10, "1TB": 1e12, " 5kb ": 5000, "0.5k": 512,
	} {
		if got, err := Size(in); err != nil || got != want {
			t.Errorf("%q: %d, %v; want %d", in, got, err, want)
		}
	}
	for _, in := range []string{"", "MB", "-1", "1e9", "5XB", "1,5GB", "1GB2", "0x10", "9999999TB", "1.GB", "١"} {
		bad(t, in, func() error { _, err := Size(in); return err })
	}
}

func TestByteRate(t *testing.T) {
	if got, err := ByteRate("500KB/s"); err != nil || got != 500_000 {
		t.Errorf("%d, %v", got, err)
	}
	bad(t, "5/m", func() error { _, err := ByteRate("5/m"); return err })
}

func TestRate(t *testing.T) {
	for in, want := range map[string]float64{"20": 20, "0": 0, "0.5": .5, "5/s": 5, "30/min": .5, "30 / m": .5, "36 per hour": .01, "90/h": .025} {
		if got, err := Rate(in); err != nil || math.Abs(got-want) > 1e-9 {
			t.Errorf("%q: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "-1", "fast", "1e3", "NaN", "Inf", "5/d", "1/h", "99999999", "5/"} {
		bad(t, in, func() error { _, err := Rate(in); return err })
	}
}

func TestDeadline(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 500, time.UTC)
	for in, want := range map[string]string{
		"2026-12-01T18:00:00+01:00":      "2026-12-01T17:00:00Z",
		"2026-12-01t18:00:00z":           "2026-12-01T18:00:00Z",
		"2026-12-01T18:00Z":              "2026-12-01T18:00:00Z",
		"2026-12-01 18:00 +01:00":        "2026-12-01T17:00:00Z",
		"2026-12-01 18:00:30+0530":       "2026-12-01T12:30:30Z",
		"2026-12-01 18:00 -08":           "2026-12-02T02:00:00Z",
		"2026-12-01 18:00 UTC":           "2026-12-01T18:00:00Z",
		"2026-12-01 18:00 UTC+2":         "",
		"2026-12-01 9:05 +01:00":         "2026-12-01T08:05:00Z",
		"2026-12-01 18:00 GMT+02:00":     "2026-12-01T16:00:00Z",
		"2026-12-01T18:00:00.25Z":        "2026-12-01T18:00:00Z",
		" 18h ":                          "2026-11-25T04:00:00Z",
		"+2d":                            "2026-11-26T10:00:00Z",
		"36h30m":                         "2026-11-25T22:30:00Z",
		"1w1.5d":                         "2026-12-02T22:00:00Z",
		"2026-12-01 18:00 Europe/Berlin": "2026-12-01T17:00:00Z",
	} {
		at, relative, err := Deadline(in, now)
		if want == "" {
			bad(t, in, func() error { return err })
			continue
		}
		if err != nil && strings.Contains(in, "Europe") {
			t.Log("no zone database here") // some machines have none
			continue
		}
		if err != nil || at.UTC().Truncate(time.Second).Format(time.RFC3339) != want {
			t.Errorf("%q: %v, %v; want %s", in, at.UTC(), err, want)
		}
		if relative != !strings.Contains(in, ":") {
			t.Errorf("%q: relative %v", in, relative)
		}
	}
	if at, _, err := Deadline("none", now); err != nil || !at.IsZero() {
		t.Errorf("none: %v, %v", at, err)
	}
}

func TestBadDeadlines(t *testing.T) {
	for in, want := range map[string]string{
		"2026-12-01 18:00":                  "has no zone",
		"2026-12-01T18:00:00":               "has no zone",
		"2026-12-01":                        "no time of day",
		"2026-02-30 18:00Z":                 "calendar",
		"2026-12-01 25:00Z":                 "calendar",
		"2026-12-01 18:00 CET":              "different things",
		"2026-12-01 18:00 +25:00":           "offset",
		"2026-12-01 18:00 Mars/Olympus":     "unknown zone",
		"2026-12-01 18:00 Local":            "different things",
		"2026-12-01 18:00 ../../etc/passwd": "unknown zone",
		"tomorrow":                          "no deadline",
		"0h":                                "no time",
		"18":                                "no deadline",
		"-5h":                               "no deadline",
		"":                                  "no deadline",
		"99999999w":                         "no deadline",
		"2026-03-29 02:30 Europe/Berlin":    "clocks are changed",
	} {
		_, _, err := Deadline(in, time.Now())
		if err != nil && strings.Contains(in, "Berlin") && strings.Contains(err.Error(), "unknown zone") {
			continue
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q", in, err, want)
			continue
		}
		bad(t, in, func() error { return err })
	}
}

// bad fails unless f's error is one a person can act on.
func bad(t *testing.T, in string, f func() error) {
	t.Helper()
	err := f()
	if err == nil || salvor.ClassOf(err) != salvor.Invalid || salvor.HintOf(err) == "" || strings.Contains(err.Error(), "\n") {
		t.Errorf("%q: %v (hint %q)", in, err, salvor.HintOf(err))
	}
}

func FuzzDeadline(f *testing.F) {
	for _, s := range []string{"18h", "1w2d", "2026-12-01 18:00 +01:00", "2026-12-01T18:00:00Z", "none", "+9h", "2026-12-01 18:00 Europe/Berlin", "2026-12-01 18:00 CET"} {
		f.Add(s)
	}
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		at, relative, err := Deadline(s, now)
		if err != nil {
			bad(t, s, func() error { return err })
			return
		}
		if relative && at.Before(now) {
			t.Fatalf("%q is before now: %v", s, at)
		}
		if at.IsZero() {
			return
		}
		back, _, err := Deadline(at.Format(time.RFC3339Nano), now)
		if err != nil || !back.Equal(at) {
			t.Fatalf("%q: %v does not come back: %v, %v", s, at, back, err)
		}
	})
}

func FuzzSize(f *testing.F) {
	for _, s := range []string{"500MB", "1.5GiB", "0", "none", "9e99", "99999999999999999999", "1 k"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := Size(s); err == nil && (n < 0 || n > maxSize) {
			t.Fatalf("%q is %d", s, n)
		}
		if r, err := Rate(s); err == nil && (r < 0 || r > MaxRate || math.IsNaN(r)) {
			t.Fatalf("%q is %v", s, r)
		}
	})
}
