package s3

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"salvor"
	"salvor/storage"
)

// Result is what a check found.
type Result string

// Results.
const (
	Yes     Result = "ok"
	No      Result = "no"
	Unknown Result = "unknown" // could not be found out, for instance for want of rights
)

// Finding is one thing that a server can do or cannot.
type Finding struct {
	Name    string `json:"name"`
	Result  Result `json:"result"`
	Needed  bool   `json:"needed"`            // a Store on a server without it is not safe
	Detail  string `json:"detail,omitempty"`  // what was seen
	Follows string `json:"follows,omitempty"` // what it means for an archive
}

// Report is what Probe found out about a server.
type Report struct {
	Endpoint string    `json:"endpoint"`
	Bucket   string    `json:"bucket"`
	Server   string    `json:"server,omitempty"` // what it calls itself
	Usable   bool      `json:"usable"`           // all that is needed is there
	Findings []Finding `json:"findings"`
}

// Probe finds out what a server can do by trying it below PREFIX/probe/RANDOM/
// in the bucket, and removes again what it put. It returns an error only when
// the Config is wrong or ctx ends; a server that does not answer is a finding.
func Probe(ctx context.Context, cfg Config) (Report, error) {
	seen := &listener{}
	wrap := cfg.Wrap
	cfg.Wrap = func(rt http.RoundTripper) http.RoundTripper {
		if wrap != nil {
			rt = wrap(rt)
		}
		seen.next = rt
		return seen
	}
	cfg.ReadOnly = false
	want := cfg.withDefaults().Retention
	cfg.Retention, cfg.RetainFor = RetainNone, 0 // what the probe puts must go again
	if cfg.RetryFor == 0 {
		cfg.RetryFor = 10 * time.Second
	}
	s, err := connect(cfg)
	if err != nil {
		return Report{}, err
	}
	p := &prober{s: s, seen: seen, want: want, dir: "probe/" + strings.ToLower(rand.Text()[:16])}
	p.report.Endpoint, p.report.Bucket = s.cfg.Endpoint, s.cfg.Bucket
	p.run(ctx)
	p.report.Server = seen.server
	return p.report, storage.ContextError(ctx, "probe", s.cfg.Bucket)
}

// listener notes what a server says of itself and its clock.
type listener struct {
	next http.RoundTripper

	mu     sync.Mutex
	server string
	ahead  time.Duration // of the server's clock
	dated  bool
}

func (l *listener) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := l.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if v := resp.Header.Get("Server"); v != "" {
		l.server = v
	}
	if d, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		l.ahead, l.dated = time.Until(d), true
	}
	return resp, nil
}

// prober runs the checks.
type prober struct {
	s      *Store
	seen   *listener
	want   Retention // what the Config asks for
	dir    string
	report Report
}

// check is one thing to find out.
type check struct {
	name   string
	needed bool
	try    func(*prober, context.Context) (Result, string)
	no     string // what follows when it is not there
	yes    string // what follows when it is
}

func (p *prober) run(ctx context.Context) {
	defer p.clean(ctx)
	p.report.Usable = true
	for i, c := range checks {
		r, detail := c.try(p, ctx)
		needed := c.needed || c.name == checkLock && p.want != RetainNone
		f := Finding{Name: c.name, Result: r, Needed: needed, Detail: detail}
		switch {
		case r == No:
			f.Follows = c.no
		case r == Yes:
			f.Follows = c.yes
		}
		p.report.Findings = append(p.report.Findings, f)
		if needed && r != Yes {
			p.report.Usable = false
		}
		if i == 0 && r != Yes {
			return // nothing else can be found out
		}
	}
}

func (p *prober) key(name string) string { return p.dir + "/" + name }

func (p *prober) put(ctx context.Context, name, content string) (storage.Info, error) {
	return p.s.Put(ctx, p.key(name), storage.BytesBlob([]byte(content)), storage.PutOptions{})
}

// said is an error with its remedy on one line.
func said(err error) string {
	if h := salvor.HintOf(err); h != "" {
		return err.Error() + " (" + h + ")"
	}
	return err.Error()
}

// refused turns "the server must refuse this" into a result.
func refused(err error, codes ...string) (Result, string) {
	if err == nil {
		return No, "the server took what it should have refused"
	}
	c := code(err)
	for _, want := range codes {
		if c == want {
			return Yes, "refused with " + c
		}
	}
	if c == codeNotYet {
		return No, "the server says NotImplemented"
	}
	return Unknown, said(err)
}

// clean removes everything below the probe's directory, versions too.
func (p *prober) clean(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	prefix := p.s.object(p.dir + "/")
	for u := range p.s.core.ListIncompleteUploads(ctx, p.s.cfg.Bucket, prefix, true) {
		if u.Err == nil {
			p.s.core.AbortMultipartUpload(ctx, p.s.cfg.Bucket, u.Key, u.UploadID)
		}
	}
	var failed error
	// Some servers do not list versions, and MinIO shows a key below a key only
	// when that is gone.
	for _, versions := range []bool{true, false, true, false} {
		if err := p.removeAll(ctx, prefix, versions); failed == nil {
			failed = err
		}
	}
	if failed != nil {
		p.report.Findings = append(p.report.Findings, Finding{
			Name: "clean-up", Result: No, Detail: said(failed),
			Follows: fmt.Sprintf("objects are left below %s: delete them by hand", prefix),
		})
	}
}

func (p *prober) removeAll(ctx context.Context, prefix string, versions bool) (failed error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for o := range p.s.core.ListObjectsIter(ctx, p.s.cfg.Bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true, WithVersions: versions}) {
		if o.Err != nil {
			return failed
		}
		err := p.s.core.RemoveObject(ctx, p.s.cfg.Bucket, o.Key, minio.RemoveObjectOptions{VersionID: o.VersionID})
		if err != nil && failed == nil {
			failed = p.s.fail(ctx, err, "delete", o.Key)
		}
	}
	return failed
}
