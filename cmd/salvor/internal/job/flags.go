package job

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Flag is a setting as the command line spells it.
type Flag struct {
	Name  string // without its dashes
	Value string
}

// Flags are the settings as flags, in the order of the help, one row for each
// time a flag would be given. Of what is secret they tell that it is there. What
// has no value and none by default is left out.
func (s *Settings) Flags() []Flag {
	var f flags
	s.scopeFlags(&f)
	s.valueFlags(&f)
	s.limitFlags(&f)
	s.mannersFlags(&f)
	s.networkFlags(&f)
	s.recordFlags(&f)
	s.storeFlags(&f)
	return f
}

type flags []Flag

func (f *flags) add(name string, value any) { *f = append(*f, Flag{name, fmt.Sprint(value)}) }

func (f *flags) all(name string, values []string) {
	for _, v := range values {
		f.add(name, v)
	}
}

// some leaves out what is empty or 0.
func (f *flags) some(name string, value any) {
	if s := fmt.Sprint(value); s != "" && s != "0" {
		f.add(name, s)
	}
}

func (s *Settings) scopeFlags(f *flags) {
	f.add("scope", s.Scope)
	if s.MaxHops == NoLimit {
		f.add("max-hops", "none")
	} else {
		f.add("max-hops", s.MaxHops)
	}
	f.add("extra-hops", s.ExtraHops)
	f.all("include", s.Include)
	f.all("exclude", s.Exclude)
	f.all("exclude-from", s.ExcludeFiles)
	f.all("exclude-set", slices.DeleteFunc(slices.Clone(s.ExcludeSets), func(n string) bool { return n == "global" }))
	if len(s.ExcludeSets) == 0 {
		f.add("no-exclude-sets", true)
	}
	f.add("page-requisites", s.PageRequisites)
}

func (s *Settings) valueFlags(f *flags) {
	for _, r := range s.ValueRules {
		if r.From == "" {
			f.add("value-rule", r.Text)
		}
	}
	f.all("value-rules", s.ValueFiles)
	f.some("value-recipe", s.ValueRecipe)
}

func (s *Settings) limitFlags(f *flags) {
	if !s.Deadline.IsZero() {
		f.add("deadline", s.Deadline.Format(time.RFC3339))
	}
	f.some("limit-urls", s.LimitURLs)
	f.some("limit-bytes", s.LimitBytes)
	f.some("max-body", s.MaxBody)
}

func (s *Settings) mannersFlags(f *flags) {
	f.add("robots", s.Robots)
	rate := strconv.FormatFloat(s.MaxRate, 'g', -1, 64)
	if !s.MaxRateGiven { // it is not the same as to give it: Crawl-delay is obeyed
		rate += " (default)"
	}
	f.add("max-rate", rate)
	f.some("limit-rate", s.LimitRate)
	f.add("connections", s.Connections)
	f.add("per-origin", s.PerOrigin)
	f.add("tries", s.Tries)
}

func (s *Settings) networkFlags(f *flags) {
	for _, name := range s.HeaderNames {
		f.add("header", name+": "+hidden)
	}
	if len(s.Secrets.Cookies) > 0 {
		f.add("cookies", hidden)
	}
	f.add("user-agent", s.UserAgent)
	if s.BindAddress.IsValid() {
		f.add("bind-address", s.BindAddress)
	}
	f.some("proxy", s.Proxy)
	f.add("tls-verify", s.TLSVerify)
	f.add("probe", s.Probe)
	for _, p := range s.AllowNet {
		f.add("allow-net", p)
	}
}

func (s *Settings) recordFlags(f *flags) {
	f.add("name", s.Name)
	f.some("operator", s.Operator)
	f.some("description", s.Description)
	f.some("contact", s.Contact)
	for _, h := range s.WARCHeaders {
		f.add("warc-header", strings.Join(h[:], ": "))
	}
	f.add("warc-max-size", s.WARCMaxSize)
	f.add("warc-prefix", s.WARCPrefix)
	f.add("warc-outlinks", s.WARCOutlinks)
}

func (s *Settings) storeFlags(f *flags) {
	if s.Store == "" {
		return
	}
	f.add("store", s.Store)
	f.some("mirror", s.Mirror)
	f.some("copies", s.Copies)
	f.add("spool-max", s.SpoolMax)
}
