package signed

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"salvor"
	"salvor/api"
	"salvor/storage"
	"salvor/storage/faulty"
	"salvor/storage/mem"
	"salvor/storage/s3"
)

func TestOwn(t *testing.T) {
	const name = "salvor-20261123101112123-00001-"
	for _, c := range []struct {
		op  Op
		key string
		may bool
	}{
		{OpPut, "crawls/7/warc/" + name + "node-a.warc.gz", true},
		{OpPut, "crawls/7/warc/" + name + "node-a.cdxj", true},
		{OpPut, "crawls/7/journals/" + name + "node-a.journal.gz", true},
		{OpPut, "crawls/7/warc/a-b-20261123101112123-123456-node-a.warc.gz", true},
		{OpPut, "crawls/7/warc/" + name + "node-b.warc.gz", false},
		{OpPut, "crawls/7/warc/" + name + "x-node-a.warc.gz", false}, // of the node "x-node-a"
		{OpPut, "crawls/7/warc/" + name + "node-a.warc.gz/x", false},
		{OpPut, "crawls/7/warc/" + name + "node-a.html", false},
		{OpPut, "crawls/7/warc/node-a.warc.gz", false},
		{OpPut, "warc/" + name + "node-a.warc.gz", false},
		{OpPut, "crawls-7/warc/" + name + "node-a.warc.gz", false},
		{OpGet, "crawls/7/warc/" + name + "node-b.warc.gz", true},
		{OpStat, "crawls/7/x", true},
		{OpList, "crawls/7/", true},
		{OpList, "crawls/", true},
		{OpList, "", false},
		{OpList, "crawl", false},
		{OpGet, "checkpoints/1", false},
		{OpDelete, "crawls/7/warc/" + name + "node-a.warc.gz", false},
	} {
		err := Own("crawls/", "node-a")(c.op, c.key)
		if (err == nil) != c.may || err != nil && salvor.ClassOf(err) != salvor.Forbidden {
			t.Errorf("%s %s: %v", c.op, c.key, err)
		}
	}
}

// own asks the rule for the node that the request says it is from; a server
// takes that from the client's certificate.
func own(r *http.Request, op Op, key string) error {
	return Own("crawls/", r.Header.Get("Node"))(op, key)
}

type asNode struct {
	next http.RoundTripper
	node string
}

func (a asNode) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Node", a.node)
	return a.next.RoundTrip(r)
}

// A worker puts under its own name only, reads what others put, and can neither
// delete nor go on with another's upload.
func TestAnothersName(t *testing.T) {
	const key = "crawls/1/warc/s-20261123101112123-00001-a.warc.gz"
	for name, st := range map[string]storage.Store{"signed": newBucket(t), "proxied": mem.New()} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, HandlerConfig{Store: st, Allow: own, MaxPut: part, PartSize: part}).URL
			at := map[string]*Store{}
			for _, node := range []string{"a", "b"} {
				at[node] = worker(t, func(c *Config) { c.HTTP = &http.Client{Transport: asNode{http.DefaultTransport, node}} }, url)
			}
			for _, size := range []int{100, 2 * part} {
				if _, err := at["b"].Put(t.Context(), key, blob(1, size), storage.PutOptions{}); salvor.ClassOf(err) != salvor.Forbidden {
					t.Errorf("b puts %d bytes as a: %v", size, err)
				}
			}
			mustPut(t, at["a"], key, blob(1, 100), false)
			if _, err := at["b"].Stat(t.Context(), key); err != nil {
				t.Errorf("b looks at a's: %v", err)
			}
			for _, err := range at["b"].List(t.Context(), "", "") {
				if salvor.ClassOf(err) != salvor.Forbidden {
					t.Errorf("b lists everything: %v", err)
				}
			}
			for _, node := range []string{"a", "b"} {
				if err := at[node].Delete(t.Context(), key); salvor.ClassOf(err) != salvor.Forbidden {
					t.Errorf("%s deletes: %v", node, err)
				}
			}
		})
	}
}

// ask sends one request as it is.
func ask(t testing.TB, method, url, node string, body []byte) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Node", node)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, b
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A ticket is for its key, its content and its holder's name: with another's,
// or a changed one, nobody gets anything.
func TestTickets(t *testing.T) {
	const key = "crawls/1/warc/s-20261123101112123-00001-a.warc.gz"
	b := newBucket(t)
	url := serve(t, HandlerConfig{Store: b, Allow: own, MaxPut: part, PartSize: part}).URL + Root
	data := blob(1, 2*part)
	m, err := s3.MakeManifest(t.Context(), data, part)
	if err != nil {
		t.Fatal(err)
	}
	other := m
	other.Digest = strings.Repeat("0", 64)
	begin := beginRequest{Key: key, Size: data.Size(), SHA256: m.Digest, Manifest: &other}
	if status, _ := ask(t, http.MethodPost, url+"begin", "a", mustJSON(t, begin)); status != http.StatusBadRequest {
		t.Errorf("a manifest of other content: %d", status)
	}
	begin.Manifest = &m
	status, text := ask(t, http.MethodPost, url+"begin", "a", mustJSON(t, begin))
	var a beginAnswer
	if err := json.Unmarshal(text, &a); err != nil || status != http.StatusOK || a.Ticket == "" {
		t.Fatalf("%d %s", status, text)
	}
	changed := []byte(a.Ticket)
	changed[len(changed)/2] ^= 1
	_, seal, _ := strings.Cut(a.Ticket, ".")
	for name, c := range map[string]struct {
		node, ticket string
		status       int
	}{
		"own":      {"a", a.Ticket, 200},
		"another":  {"b", a.Ticket, 403},
		"changed":  {"a", string(changed), 403},
		"no seal":  {"a", strings.TrimSuffix(a.Ticket, seal), 403},
		"other":    {"a", "x." + seal, 403},
		"empty":    {"a", "", 403},
		"not text": {"a", "\x00\xff", 403},
	} {
		for _, path := range []string{"sent", "sign"} {
			status, text := ask(t, http.MethodPost, url+path, c.node, mustJSON(t, partsRequest{Ticket: c.ticket, Count: 1 << 30}))
			if status != c.status {
				t.Errorf("%s: %s: %d %s", name, path, status, text)
			}
			if status == 200 && path == "sign" {
				var p partsAnswer
				if err := json.Unmarshal(text, &p); err != nil || len(p.Parts) != 2 {
					t.Errorf("%d parts were signed: %v", len(p.Parts), err)
				}
			}
		}
		if status, text := ask(t, http.MethodPost, url+"complete", c.node, mustJSON(t, partsRequest{Ticket: c.ticket, ETags: []string{"a", "b"}})); status == 200 {
			t.Errorf("%s: completed without parts: %s", name, text)
		}
	}
	if _, err := b.Stat(t.Context(), key); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("in the bucket: %v", err)
	}
	if _, err := newSeals([]byte("k")).open(mustSeal(t, ticket{Until: 100}), time.Unix(101, 0)); salvor.ClassOf(err) != salvor.NotFound {
		t.Errorf("an expired ticket: %v", err)
	}
}

func mustSeal(t *testing.T, k ticket) string {
	t.Helper()
	s, err := newSeals([]byte("k")).seal(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Every class keeps its name, message and hint on the way.
func TestErrorsTravel(t *testing.T) {
	for class := range statuses {
		sent := salvor.Errorf(class, "it is %v", class).WithHint("do it")
		s := faulty.Wrap(mem.New(), faulty.Rule{Before: sent})
		w := worker(t, func(c *Config) { c.RetryFor = -1 }, serve(t, HandlerConfig{Store: s}).URL)
		_, err := w.Stat(t.Context(), "k")
		want := class
		if class == salvor.Interrupted { // there, not here
			want = salvor.Unavailable
		}
		if salvor.ClassOf(err) != want || !strings.Contains(err.Error(), sent.Error()) || salvor.HintOf(err) != "do it" {
			t.Errorf("%v came as %v: %v (%s)", class, salvor.ClassOf(err), err, salvor.HintOf(err))
		}
	}
	status, text := ask(t, http.MethodGet, serve(t, HandlerConfig{Store: mem.New()}).URL+"/v2/store/stat", "", nil)
	if status != http.StatusNotImplemented || salvor.ClassOf(failed(text)) != salvor.TooNew {
		t.Errorf("another version: %d %s", status, text)
	}
}

// claims is a Store whose SHA-256 is what the writer said.
type claims struct {
	*faulty.Store
	sum [32]byte
}

func (c claims) Stat(ctx context.Context, key string) (storage.Info, error) {
	i, err := c.Store.Stat(ctx, key)
	i.SHA256, i.Claimed = c.sum, true
	return i, err
}

func TestCheck(t *testing.T) {
	s := faulty.Wrap(mem.New())
	data, other := blob(1, 1000), blob(2, 1000)
	if _, err := s.Put(t.Context(), "k", data, storage.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		store storage.Store
		key   string
		size  int64
		sum   [32]byte
		ok    bool
		class salvor.ErrorClass
		reads int
	}{
		{s, "k", 1000, data.SHA256(), true, 0, 0},
		{s, "k", 999, data.SHA256(), false, salvor.Conflict, 0},
		{s, "k", 1000, other.SHA256(), false, salvor.Conflict, 0},
		{s, "j", 1000, data.SHA256(), false, salvor.NotFound, 0},
		{claims{s, data.SHA256()}, "k", 1000, data.SHA256(), true, 0, 1},
		{claims{s, other.SHA256()}, "k", 1000, other.SHA256(), false, salvor.Conflict, 1}, // a lie is found out
		{claims{s, [32]byte{}}, "k", 1000, data.SHA256(), true, 0, 1},
	} {
		before := s.Calls(faulty.Checksum)
		err := Check(t.Context(), c.store, c.key, c.size, c.sum)
		if (err == nil) != c.ok || err != nil && (salvor.ClassOf(err) != c.class || salvor.HintOf(err) == "") {
			t.Errorf("%s, %d bytes: %v (%s)", c.key, c.size, err, salvor.HintOf(err))
		}
		if n := s.Calls(faulty.Checksum) - before; n != c.reads {
			t.Errorf("%s, %d bytes: it was read %d times, want %d", c.key, c.size, n, c.reads)
		}
	}
	s.Set(faulty.Rule{Before: faulty.Down()})
	if err := Check(t.Context(), s, "k", 1000, data.SHA256()); salvor.ClassOf(err) != salvor.Unavailable {
		t.Errorf("a store that is away: %v", err)
	}
	s.Set()
	seg := api.Segment{Name: "n", Object: "k", Bytes: 1000, SHA256: data.SHA256(), State: api.SegmentStored}
	if err := CheckSegment(t.Context(), s, seg); err != nil {
		t.Error(err)
	}
	seg.State = api.SegmentSealed
	if err := CheckSegment(t.Context(), s, seg); salvor.ClassOf(err) != salvor.Invalid {
		t.Errorf("a sealed segment: %v", err)
	}
}

func TestConfigs(t *testing.T) {
	for name, c := range map[string]HandlerConfig{
		"no store":     {Allow: anything, Dir: t.TempDir()},
		"no rule":      {Store: mem.New(), Dir: t.TempDir()},
		"no directory": {Store: mem.New(), Allow: anything},
		"no secret":    {Store: newBucket(t), Allow: anything},
		"long life":    {Store: newBucket(t), Allow: anything, Secret: make([]byte, 32), TTL: 8 * 24 * time.Hour},
		"small parts":  {Store: newBucket(t), Allow: anything, Secret: make([]byte, 32), PartSize: 1},
	} {
		if _, err := NewHandler(c); salvor.ClassOf(err) != salvor.Invalid || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(Config{}); salvor.ClassOf(err) != salvor.Invalid || err == nil {
		t.Errorf("a worker without coordinators: %v", err)
	}
}

// Whatever a worker sends, the answer is a sound one, its status fits its
// class, no fault is the coordinator's, and nothing is in the Store but under
// an allowed key.
func FuzzRequests(f *testing.F) {
	sum := strings.Repeat("ab", 32)
	for _, path := range []string{"begin", "sign", "sent", "complete", "abort", "stat?key=a", "list?prefix=&after=%ff", "object?key=crawls/a&off=-9&n=x", "object?key=crawls/../a"} {
		f.Add("POST", path, []byte(`{"key":"crawls/k","size":3,"sha256":"`+sum+`","ticket":"a.b","from":-1,"etags":["",null]}`))
	}
	f.Add("POST", "begin", []byte(`{"key":"crawls/k","size":9000000000000000000,"sha256":"`+sum+`","manifest":{"length":9000000000000000000,"part_size":5242880,"parts":[""]}}`))
	f.Add("PUT", "object?key=crawls/k&sha256="+hex.EncodeToString(make([]byte, 32)), []byte("abc"))
	f.Add("DELETE", "object?key=crawls/k", []byte{})
	b := newBucket(f)
	allow := func(_ *http.Request, op Op, key string) error {
		if op == OpDelete || !strings.HasPrefix(key, "crawls/") {
			return salvor.Errorf(salvor.Forbidden, "no")
		}
		return nil
	}
	handlers := []*Handler{}
	for _, proxy := range []bool{false, true} {
		h, err := NewHandler(HandlerConfig{Store: b, Allow: allow, Secret: make([]byte, 32), Dir: f.TempDir(), Proxy: proxy, MaxPut: 1000, MaxSize: 10 << 20})
		if err != nil {
			f.Fatal(err)
		}
		handlers = append(handlers, h)
	}
	f.Fuzz(func(t *testing.T, method, path string, body []byte) {
		for _, h := range handlers {
			r, err := http.NewRequestWithContext(t.Context(), method, "http://x"+Root+path, bytes.NewReader(body))
			if err != nil {
				return
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			checkAnswer(t, w)
		}
		for info, err := range b.List(t.Context(), "", "") {
			if err != nil || !strings.HasPrefix(info.Key, "crawls/") {
				t.Errorf("in the store: %s, %v", info.Key, err)
			}
		}
	})
}

func checkAnswer(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	switch w.Code {
	case http.StatusOK, http.StatusMovedPermanently, http.StatusTemporaryRedirect: // paths that net/http cleans
		return
	}
	err := failed(w.Body.Bytes())
	if err == nil {
		t.Fatalf("%d: %q", w.Code, w.Body)
	}
	if c := salvor.ClassOf(err); statuses[c] != w.Code || c == salvor.Internal {
		t.Errorf("%d: class %v: %v", w.Code, c, err)
	}
}

// Whatever a coordinator answers, the worker ends with an error or an object.
func FuzzAnswers(f *testing.F) {
	f.Add(200, []byte(`{"put":{"key":"k","url":"http://127.0.0.1:1/","method":"PUT"}}`))
	f.Add(200, []byte(`{"part_size":5242880}`))
	f.Add(200, []byte(`{"ticket":"x","there":null}`))
	f.Add(503, []byte(`{"class":"unavailable"}`))
	f.Add(200, []byte(`{"objects":[{"key":"a"},{"key":"a"}],"more":true,"etags":[""],"parts":[]}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 599 || bytes.Contains(body, []byte("http://")) && !bytes.Contains(body, []byte("127.0.0.1:1/")) {
			return
		}
		w, err := Open(Config{
			Endpoints: func() []string { return []string{"http://coordinator"} }, RetryFor: -1,
			HTTP:   &http.Client{Transport: says{status, body}},
			Upload: &http.Client{Transport: says{status, body}},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Put(t.Context(), "k", storage.BytesBlob([]byte("x")), storage.PutOptions{})
		_, _ = w.Stat(t.Context(), "k")
		n := 0
		for _, err := range w.List(t.Context(), "", "") {
			if n++; err != nil || n > 3000 {
				break
			}
		}
	})
}

type says struct {
	status int
	body   []byte
}

func (s says) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
		r.Body.Close()
	}
	return &http.Response{StatusCode: s.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(s.body)), Request: r}, nil
}
