package cli

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"salvor"
	"salvor/cmd/salvor/internal/input"
	"salvor/cmd/salvor/internal/job"
)

// excludeSets are the names that --exclude-set takes.
var excludeSets = []string{"global", "forum", "wiki", "calendar"}

// fill reads the files that the flags name and completes the settings.
func (w *world) fill(a *asked) error {
	for _, step := range []func(*asked) error{w.fillRules, w.fillValues, w.fillHeaders, w.fillCookies, w.fillProxy} {
		if err := step(a); err != nil {
			return err
		}
	}
	a.settings.DeadlineSpec = a.deadline
	a.settings.MaxRateGiven = slices.Contains(a.changed, "max-rate")
	if a.settings.UserAgent != "" {
		a.settings.RobotsAgent = agentToken(a.settings.UserAgent)
	}
	return nil
}

func (w *world) fillRules(a *asked) error {
	for _, path := range a.excludeFrom {
		rules, err := readFile(w, path, input.Rules)
		if err = a.passOver("exclude-from", path, err); err != nil {
			return err
		}
		a.settings.ExcludeFrom = append(a.settings.ExcludeFrom, rules...)
	}
	a.settings.ExcludeFiles = a.excludeFrom
	for _, name := range a.excludeSets {
		if !slices.Contains(excludeSets, name) {
			return salvor.Errorf(salvor.Invalid, "--exclude-set: there is no set %q", name).
				WithHint("choose of %s", strings.Join(excludeSets, ", "))
		}
		if !slices.Contains(a.settings.ExcludeSets, name) {
			a.settings.ExcludeSets = append(a.settings.ExcludeSets, name)
		}
	}
	if a.noSets && len(a.excludeSets) > 0 {
		return salvor.Errorf(salvor.Invalid, "--exclude-set and --no-exclude-sets contradict each other").WithHint("leave one of them out")
	}
	if a.noSets {
		a.settings.ExcludeSets = nil
	}
	return nil
}

// headerPart is what one --header gave.
type headerPart struct {
	file    string // "": the command line itself
	headers []job.Header
}

func (w *world) fillHeaders(a *asked) error {
	for _, arg := range a.headers {
		var p headerPart
		var err error
		if path, ok := strings.CutPrefix(arg, "@"); ok {
			p.file = path
			p.headers, err = readFile(w, path, input.Headers)
			err = a.passOver("header", path, err)
		} else {
			var h job.Header
			h, err = input.Header(arg)
			p.headers = []job.Header{h}
		}
		if err != nil {
			return fmt.Errorf("--header: %w", err)
		}
		a.headerParts = append(a.headerParts, p)
	}
	a.joinHeaders()
	return nil
}

// joinHeaders puts what all --header gave into the settings.
func (a *asked) joinHeaders() {
	s := &a.settings
	s.Secrets.Headers, s.HeaderNames, s.Secrets.HeaderFiles = nil, nil, nil
	files := false
	for _, p := range a.headerParts {
		for _, h := range p.headers {
			s.Secrets.Headers, s.HeaderNames = append(s.Secrets.Headers, h), append(s.HeaderNames, h.Name)
			s.Secrets.HeaderFiles = append(s.Secrets.HeaderFiles, p.file)
			files = files || p.file != ""
		}
	}
	if !files {
		s.Secrets.HeaderFiles = nil
	}
}

func (w *world) fillCookies(a *asked) error {
	if a.cookies == "" {
		return nil
	}
	cookies, err := readFile(w, a.cookies, input.Cookies)
	if err = a.passOver("cookies", a.cookies, err); err != nil {
		return err
	}
	a.settings.Secrets.Cookies, a.settings.Secrets.CookiesFile = cookies, a.cookies
	return nil
}

// fillProxy takes the credentials out of the URL: what is left may be told.
func (w *world) fillProxy(a *asked) error {
	text := a.proxy
	path, isFile := strings.CutPrefix(text, "@")
	if isFile {
		lines, err := readFile(w, path, func(r io.Reader, _ string) ([]string, error) {
			b, err := io.ReadAll(io.LimitReader(r, 1<<16))
			return strings.Fields(string(b)), err
		})
		if salvor.ClassOf(err) == salvor.NotFound {
			return a.passOver("proxy", path, err)
		}
		if err != nil {
			return fmt.Errorf("--proxy: %w", err)
		}
		if len(lines) != 1 {
			return salvor.Errorf(salvor.Invalid, "--proxy: %s does not hold one URL", path).WithHint("write the proxy's URL into it and nothing else")
		}
		text = lines[0]
	}
	if text == "" || text == "none" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || !slices.Contains([]string{"http", "socks5"}, u.Scheme) || strings.Trim(u.Path, "/") != "" {
		// The text may hold a password: it is not repeated.
		return salvor.Errorf(salvor.Invalid, "--proxy: no URL of a proxy").WithHint("write for example http://proxy.example:3128 or socks5://127.0.0.1:1080")
	}
	s := &a.settings
	if u.User != nil {
		s.Secrets.ProxyUser = u.User.Username()
		pass, _ := u.User.Password()
		s.Secrets.ProxyPass = job.Secret(pass)
	}
	s.Proxy = u.Scheme + "://" + u.Host
	if isFile {
		s.Secrets.ProxyFile = path
	}
	return nil
}

// readFile opens a file for a parser and closes it.
func readFile[T any](w *world, path string, parse func(io.Reader, string) ([]T, error)) ([]T, error) {
	r, name, err := input.Open(path, w.stdin)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	out, err := parse(r, name)
	if err != nil && salvor.HintOf(err) == "" {
		return nil, input.Unreadable(err, name)
	}
	return out, err
}

// seeds are those of the command line and of the files it names.
func (w *world) seeds(a *asked, now time.Time) ([]job.Seed, error) {
	var out []job.Seed
	add := func(href, given, source string, value float64) {
		s := job.Seed{URL: href, Source: source, Added: now.UTC().Truncate(time.Second), Value: value, New: true}
		if given != href {
			s.Given = given
		}
		out = append(out, s)
	}
	for _, raw := range a.urls {
		href, err := canonical(raw)
		if err != nil {
			return nil, err
		}
		add(href, raw, "command line", 0)
	}
	for _, path := range a.seedFiles {
		found, err := readFile(w, path, func(r io.Reader, name string) ([]input.Seed, error) {
			return input.Seeds(r, name, canonical)
		})
		if _, bad := errors.AsType[*input.BadLines](err); bad {
			return nil, err // its lines name the file
		}
		if err = a.passOver("seeds", path, err); err != nil {
			return nil, err
		}
		for _, s := range found {
			add(s.URL, s.Given, s.Source, s.Value)
		}
	}
	return out, nil
}
