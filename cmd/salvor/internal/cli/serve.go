package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"salvor"
	"salvor/cmd/salvor/internal/library"
	"salvor/warc/access"
)

const serveExamples = `  # look at what was saved, in a browser
  salvor serve example.org-20261201120000

  # several archives, for pywb or a Memento client on this machine
  salvor serve --listen 127.0.0.1:9090 town-2025 town-2026`

// serving is what serve was asked for.
type serving struct {
	listen  string
	cert    string
	key     string
	keys    string
	words   bool
	origin  string
	verbose bool
}

func (w *world) serveCommand() *cobra.Command {
	o := serving{listen: "127.0.0.1:8080"}
	cmd := &cobra.Command{
		Use:     "serve [flags] DIR...",
		Short:   "Show archives on this machine: search, replay, CDX, Memento",
		Long:    "Serve answers for archives in the interfaces of the field's tools: a page to search,\nthe CDX server API of pywb and of the Wayback Machine, Memento (RFC 7089), captures as\nthey were answered, and ranges of the WARC files (docs/researchers.md). It follows an\narchive that is being crawled.",
		Example: serveExamples,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return salvor.Errorf(salvor.Invalid, "no archive was named").WithHint("salvor serve DIR")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return w.show(cmd.Context(), o, args) },
	}
	declare(cmd, optionGroup{"Serving", []option{
		{name: "listen", value: filled(&o.listen, "name an address and a port"), usage: "listen on `ADDRESS:PORT` (default 127.0.0.1:8080). Another address than this machine's own wants --tls-cert, --tls-key and --keys"},
		{name: "tls-cert", value: filled(&o.cert, "name a file"), usage: "certificate chain in `FILE`, PEM"},
		{name: "tls-key", value: filled(&o.key, "name a file"), usage: "its private key in `FILE`, PEM"},
		{name: "keys", value: filled(&o.keys, "name a file"), usage: "who may read: a `FILE` with a key a line, which is sent as Authorization: Bearer KEY, or as the password where a browser asks"},
		{name: "allow-origin", value: filled(&o.origin, "name an origin, https://viewer.example"), usage: "let pages of `ORIGIN` read answers in a browser (default none may)"},
		{name: "full-text", value: truth(&o.words), noArg: "true", usage: "search pages by their words too (default off: who can search all words of a platform can find people)"},
	}}, optionGroup{"Output", []option{{name: "verbose", short: "v", value: truth(&o.verbose), noArg: "true", usage: "print each request"}}})
	return cmd
}

func (w *world) show(ctx context.Context, o serving, dirs []string) (err error) {
	guard, conf, err := o.guard()
	if err != nil {
		return err
	}
	level := slog.LevelWarn
	if o.verbose {
		level = slog.LevelInfo
	}
	log := slog.New(slog.NewTextHandler(w.stderr, &slog.HandlerOptions{Level: level}))
	books, err := w.books(ctx, log, dirs, o.words)
	defer func() {
		for _, b := range books {
			err = errors.Join(err, b.Close())
		}
	}()
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return salvor.Errorf(salvor.Conflict, "listen on %s: %w", o.listen, err).WithHint("choose another with --listen 127.0.0.1:PORT")
	}
	scheme := "http"
	if conf != nil {
		l, scheme = tls.NewListener(l, conf), "https"
	}
	var all []*access.Collection
	for _, b := range books {
		all = append(all, b.Collection)
		fmt.Fprintf(w.stderr, "serving %s at %s://%s/%s/\n", b.Dir, scheme, l.Addr(), b.Name)
	}
	return w.serveUntil(ctx, l, guard(logged(log, &access.Server{Collections: access.Of(all...), Origin: o.origin})), books)
}

// books opens archives. Two of one name get numbers.
func (w *world) books(ctx context.Context, log *slog.Logger, dirs []string, words bool) (books []*library.Book, err error) {
	lib := library.Library{OpenStore: w.OpenStore, Logger: log}
	names := map[string]bool{}
	for _, dir := range dirs {
		b, err := lib.Open(ctx, dir)
		if err != nil {
			return books, err
		}
		for name, n := b.Name, 2; names[b.Name]; n++ {
			b.Name = fmt.Sprintf("%s-%d", name, n)
		}
		names[b.Name] = true
		books = append(books, b)
		if words {
			if err := b.OpenWords(ctx, w.reading()); err != nil {
				return books, err
			}
		}
	}
	return books, nil
}

// serveUntil serves until a signal comes, and follows the archives meanwhile.
func (w *world) serveUntil(ctx context.Context, l net.Listener, h http.Handler, books []*library.Book) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	signals, stop := w.Signals()
	defer stop()
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	for _, b := range books {
		following.Go(func() { b.Follow(ctx) })
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(l) }()
	select {
	case err := <-ended:
		return salvor.Errorf(salvor.Unavailable, "serve: %w", err)
	case <-signals:
	case <-ctx.Done():
	}
	within, done := context.WithTimeout(context.Background(), 2*time.Second)
	defer done()
	if s.Shutdown(within) != nil {
		return s.Close()
	}
	return nil
}

// guard says who is let in. Without keys only this machine is: a page of another site
// that has the browser call 127.0.0.1 by a name of its own is not.
func (o *serving) guard() (func(http.Handler) http.Handler, *tls.Config, error) {
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return nil, nil, salvor.Errorf(salvor.Invalid, "--listen %s has no port", o.listen).WithHint("write it as 127.0.0.1:8080")
	}
	local := loopback(o.listen)
	var conf *tls.Config
	if o.cert != "" || o.key != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return nil, nil, salvor.Errorf(salvor.Invalid, "the certificate in %s and its key in %s cannot be used: %w", o.cert, o.key, err).WithHint("name both --tls-cert and --tls-key, PEM files that belong together")
		}
		conf = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	if o.keys == "" {
		if !local {
			return nil, nil, salvor.Errorf(salvor.Invalid, "%s can be reached by others", o.listen).WithHint("give --tls-cert, --tls-key and --keys, or listen on 127.0.0.1 and use an ssh tunnel")
		}
		return onlyLocal, conf, nil
	}
	if conf == nil && !local {
		return nil, nil, salvor.Errorf(salvor.Invalid, "without TLS the keys could be read on the way to %s", o.listen).WithHint("give --tls-cert and --tls-key")
	}
	keys, err := readKeys(o.keys)
	if err != nil {
		return nil, nil, err
	}
	return func(next http.Handler) http.Handler { return withKey(keys, next) }, conf, nil
}

func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	if host = strings.TrimSuffix(strings.ToLower(host), "."); host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

func onlyLocal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := r.Host; !loopback(host) && !loopback(host+":0") {
			http.Error(w, "this server answers to 127.0.0.1 and localhost only", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// logged says what was asked for.
func logged(log *slog.Logger, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		defer func() {
			if p := recover(); p != nil {
				if p != http.ErrAbortHandler {
					log.Error("a request failed", "path", r.RequestURI, "error", p)
				}
				panic(p) // net/http ends the connection
			}
		}()
		next.ServeHTTP(w, r)
		log.Info("request", "method", r.Method, "path", r.RequestURI, "from", r.RemoteAddr, "seconds", time.Since(began).Seconds())
	})
}

const challenge = `Basic realm="archive", charset="UTF-8"`

func withKey(keys []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, given, ok := strings.Cut(r.Header.Get("Authorization"), " ")
		if ok = ok && strings.EqualFold(scheme, "Bearer"); !ok {
			_, given, ok = r.BasicAuth()
		}
		if !ok || !oneOf(keys, given) {
			w.Header().Set("WWW-Authenticate", challenge)
			http.Error(w, "a key is needed", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
