package rescue

import (
	"slices"
	"testing"
	"time"

	"salvor/coordinator/risk"
)

func TestTargetsOf(t *testing.T) {
	got := targetsOf([]string{"https://Forum.example.org/a", "https://forum.example.org/b", "http://example.org:8080/", "no url", "https://img.example.org/"})
	var names []string
	for _, x := range got {
		names = append(names, x.Site+" "+x.Host)
		if x.TLS != (x.Host != "example.org:8080") {
			t.Errorf("%s: TLS is %v", x.Host, x.TLS)
		}
	}
	if want := []string{"example.org forum.example.org", "example.org example.org:8080", "example.org img.example.org"}; !slices.Equal(names, want) {
		t.Errorf("%q are looked at, want %q", names, want)
	}
}

// TestSightings: what is seen is told once, and once more when it is gone.
func TestSightings(t *testing.T) {
	var told []string
	s := sightings{tell: func(_, text string) { told = append(told, text) }}
	see := func(signal string, absent bool) {
		o := risk.Observation{Site: "example.org", Subject: "example.org", Signal: signal, Absent: absent, At: time.Now(), Detail: "why"}
		if err := s.Observe(t.Context(), []risk.Observation{o}); err != nil {
			t.Fatal(err)
		}
	}
	see(risk.SigHealthy, false)
	see(risk.SigExpired, true) // looked for, and not there
	see(risk.SigExpired, false)
	see(risk.SigExpired, false)
	see(risk.SigExpired, true)
	see(risk.SigExpired, true)
	if want := []string{"example.org: its domain has expired: why", "example.org: no more: its domain has expired"}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
