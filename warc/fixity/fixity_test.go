package fixity_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"salvor/storage"
	"salvor/storage/mem"
	"salvor/warc/cdx"
	"salvor/warc/fixity"
)

const file = "test-20261124010203456-00001-n.warc.gz"

// archive is three records, their index, a log and a manifest, before a test changes
// something.
func archive() (files map[string][]byte, starts []int) {
	var out bytes.Buffer
	var lines []cdx.Line
	for i := range 3 {
		starts = append(starts, out.Len())
		url, block := fmt.Sprintf("http://a.test/%d", i), fmt.Sprintf("block %d", i)
		sum := sha256.Sum256([]byte(block))
		gz := gzip.NewWriter(&out)
		fmt.Fprintf(gz, "WARC/1.1\r\nWARC-Type: resource\r\nWARC-Record-ID: <urn:uuid:0000000%d-e6b3-4d27-967d-34780c58ba39>\r\nWARC-Date: 2026-11-24T01:02:03Z\r\nWARC-Target-URI: %s\r\nWARC-Block-Digest: sha256:%x\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n", i, url, sum, len(block), block)
		gz.Close()
		lines = append(lines, cdx.Line{Key: cdx.SURT(url), Timestamp: "20261124010203", URL: url, Mime: "text/plain", Offset: int64(starts[i]), Length: int64(out.Len() - starts[i]), Filename: file})
	}
	var index bytes.Buffer
	if err := cdx.Write(&index, lines); err != nil {
		panic(err)
	}
	return map[string][]byte{"warc/" + file: out.Bytes(), "warc/" + strings.TrimSuffix(file, ".warc.gz") + ".cdxj": index.Bytes(), "crawl.log": []byte("log\n")}, starts
}

func manifest(files map[string][]byte) []byte {
	var b bytes.Buffer
	for key, content := range files {
		sum := sha256.Sum256(content)
		fmt.Fprintf(&b, "%s  %s\n", hex.EncodeToString(sum[:]), key)
	}
	return b.Bytes()
}

func check(t *testing.T, files map[string][]byte) (fixity.Summary, []string) {
	t.Helper()
	store := mem.New()
	for key, b := range files {
		if _, err := store.Put(t.Context(), key, storage.BytesBlob(b), storage.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	var found []string
	s, err := fixity.Check(t.Context(), store, fixity.Hooks{Tell: func(f fixity.Finding) {
		found = append(found, fmt.Sprintf("%s %s@%d", f.Kind, strings.TrimPrefix(f.Key, "warc/test-20261124010203456-00001-n"), f.Offset))
	}})
	if err != nil {
		t.Fatal(err)
	}
	return s, found
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(files map[string][]byte, starts []int)
		want   string // findings; %d are the starts of the records
		sound  bool
		after  bool // the change is made before the manifest is
	}{
		{name: "sound", change: func(map[string][]byte, []int) {}, sound: true},
		{name: "missing", change: func(f map[string][]byte, _ []int) { delete(f, "crawl.log") }, want: "missing crawl.log@0"},
		{name: "changed", change: func(f map[string][]byte, _ []int) { f["crawl.log"] = []byte("gol\n") }, want: "changed crawl.log@0"},
		{name: "a bit of a block", change: func(f map[string][]byte, s []int) { flip(f, s[2]-9) }, want: "damaged .warc.gz@%[2]d,changed .warc.gz@0"},
		{name: "cut off", change: func(f map[string][]byte, s []int) { f["warc/"+file] = f["warc/"+file][:s[2]+20] }, want: "damaged .warc.gz@%[3]d,changed .warc.gz@0"},
		{name: "not of a run's end", change: func(f map[string][]byte, _ []int) { f["warc/other.warc.gz"] = f["warc/"+file] }, want: "unknown warc/other.warc.gz@0", sound: true},
		{name: "an index that leads elsewhere", after: true, change: func(f map[string][]byte, s []int) {
			key := "warc/" + strings.TrimSuffix(file, ".warc.gz") + ".cdxj"
			f[key] = bytes.Replace(f[key], []byte(fmt.Sprintf(`"offset": "%d"`, s[1])), []byte(fmt.Sprintf(`"offset": "%d"`, s[1]+1)), 1)
		}, want: "damaged .cdxj@%[4]d"},
	} {
		t.Run(c.name, func(t *testing.T) {
			files, starts := archive()
			if c.after {
				c.change(files, starts)
			}
			files["manifest-sha256.txt"] = manifest(files)
			if !c.after {
				c.change(files, starts)
			}
			s, found := check(t, files)
			want := c.want
			if strings.Contains(want, "%[") {
				want = strings.Split(fmt.Sprintf(want+"%[1]s%[2]s%[3]s%[4]s", starts[0], starts[1], starts[2], starts[1]+1), "%!s")[0]
			}
			if got := strings.Join(found, ","); got != want && !strings.HasPrefix(got, want) || s.Sound() != c.sound {
				t.Errorf("sound %v, found %s, want %s", s.Sound(), got, want)
			}
			if c.name == "sound" && (s.Objects != 3 || s.Records != 3 || s.Digests != 3 || s.Lines != 3 || s.Listed != 3) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestBeyondDamage: behind a member that is damaged the index tells where the others
// are, and they are read.
func TestBeyondDamage(t *testing.T) {
	files, starts := archive()
	flip(files, starts[1]+14)
	s, found := check(t, files)
	if s.Records < 2 || s.Sound() || s.Lines != 3 {
		t.Errorf("%+v %q", s, found)
	}
	for _, f := range found {
		if !strings.HasPrefix(f, fmt.Sprintf("damaged .warc.gz@%d", starts[1])) && !strings.HasPrefix(f, fmt.Sprintf("damaged .cdxj@%d", starts[1])) {
			t.Errorf("found %s, only the second record is damaged", f)
		}
	}
}

func flip(files map[string][]byte, at int) {
	b := bytes.Clone(files["warc/"+file])
	b[at] ^= 0x10
	files["warc/"+file] = b
}
