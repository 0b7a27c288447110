package probe

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"salvor"
)

const (
	// whoisRoot tells which server knows a top-level domain.
	whoisRoot   = "whois.iana.org:43"
	whoisWithin = 20 * time.Second
	mostWHOIS   = 64 << 10
)

// whois asks where no RDAP service is known (RFC 3912). Its answers have no form;
// what is read of them is what most registries write.
type whois struct {
	dial Dialer
	root string

	mu      sync.Mutex
	servers map[string]string // by top-level domain; "" it has none
}

func newWhois(dial Dialer, root string) *whois {
	if root == "" {
		root = whoisRoot
	}
	return &whois{dial: dial, root: root, servers: map[string]string{}}
}

// get is what a domain's registry tells, and its server; nil where it tells nothing
// that is understood.
func (l *whois) get(ctx context.Context, name, tld string) (*domain, string, error) {
	ctx, cancel := context.WithTimeout(ctx, whoisWithin)
	defer cancel()
	server, err := l.server(ctx, tld)
	if err != nil || server == "" {
		return nil, "", err
	}
	text, err := l.ask(ctx, server, name)
	if err != nil {
		return nil, "", err
	}
	return parseWhois(text), server, nil
}

// server is who knows a top-level domain.
func (l *whois) server(ctx context.Context, tld string) (string, error) {
	l.mu.Lock()
	s, ok := l.servers[tld]
	l.mu.Unlock()
	if ok {
		return s, nil
	}
	text, err := l.ask(ctx, l.root, tld)
	if err != nil {
		return "", err
	}
	for key, value := range whoisFields(text) {
		if key == "whois" || key == "refer" {
			s = value
		}
	}
	if s != "" && !strings.Contains(s, ":") {
		s = net.JoinHostPort(s, "43")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.servers[tld] = s
	return s, nil
}

func (l *whois) ask(ctx context.Context, server, query string) (string, error) {
	c, err := l.dial(ctx, "tcp", server)
	if err != nil {
		return "", salvor.Errorf(salvor.Unavailable, "whois at %s: %w", server, err)
	}
	defer c.Close()
	if end, ok := ctx.Deadline(); ok {
		if err := c.SetDeadline(end); err != nil {
			return "", err
		}
	}
	if _, err := fmt.Fprintf(c, "%s\r\n", query); err != nil {
		return "", salvor.Errorf(salvor.Unavailable, "whois at %s: %w", server, err)
	}
	b, err := io.ReadAll(io.LimitReader(c, mostWHOIS))
	if err != nil {
		return "", salvor.Errorf(salvor.Unavailable, "whois at %s: %w", server, err)
	}
	return string(b), nil
}

// whoisFields are the lines of an answer of the form "key: value"; keys in lower case.
func whoisFields(text string) func(yield func(key, value string) bool) {
	return func(yield func(string, string) bool) {
		sc := bufio.NewScanner(strings.NewReader(text))
		for sc.Scan() {
			line := strings.TrimSpace(sc.Text())
			if strings.HasPrefix(line, "%") || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ">") {
				continue
			}
			key, value, ok := strings.Cut(line, ":")
			if key, value = strings.ToLower(strings.Trim(key, " .")), strings.TrimSpace(value); !ok || value == "" {
				continue
			}
			if !yield(key, value) {
				return
			}
		}
	}
}

// whoisExpiry are the names that registries give to the date of expiry; those that
// are the registrar's are true.
var whoisExpiry = map[string]bool{
	"registrar registration expiration date": true,
	"registry expiry date":                   false, "expiry date": false, "expiration date": false, "expiration time": false, "expires": false,
	"expires on": false, "expire": false, "paid-till": false, "renewal date": false, "validity": false, "domain expires": false, "record expires on": false,
}

// parseWhois reads an answer; nil where nothing of it is understood.
func parseWhois(text string) *domain {
	d := new(domain)
	event := func(action, date string) {
		d.Events = append(d.Events, struct {
			Action string `json:"eventAction"`
			Date   string `json:"eventDate"`
		}{action, date})
	}
	for key, value := range whoisFields(text) {
		if registrar, ok := whoisExpiry[key]; ok {
			if at := whoisDate(value); !at.IsZero() {
				action := "expiration"
				if registrar {
					action = "registrar expiration"
				}
				event(action, at.Format(time.RFC3339))
			}
			continue
		}
		switch key {
		case "domain status", "status", "state", "eppstatus":
			// "clientHold https://icann.org/epp#clientHold", "REGISTERED, DELEGATED"
			for one := range strings.SplitSeq(value, ",") {
				word, _, _ := strings.Cut(strings.TrimSpace(one), " http")
				d.Status = append(d.Status, word)
			}
		case "registrar", "sponsoring registrar", "registrar name":
			if d.registrar() == "" {
				d.Entities = append(d.Entities, struct {
					Roles  []string `json:"roles"`
					Handle string   `json:"handle"`
				}{[]string{"registrar"}, clip(value)})
			}
		}
	}
	if len(d.Events) == 0 && len(d.Status) == 0 {
		return nil
	}
	return d
}

// whoisDate reads the forms of dates that registries write; zero if it is none.
func whoisDate(s string) time.Time {
	if t := dateOf(s); !t.IsZero() {
		return t
	}
	s, _, _ = strings.Cut(s, " ")
	for _, form := range []string{time.DateOnly, "2006.01.02", "2006/01/02", "02-Jan-2006", "02.01.2006", "20060102"} {
		if t, err := time.Parse(form, s); err == nil {
			return t
		}
	}
	return time.Time{}
}
