package trust

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"strings"
	"testing"

	"salvor"
)

var quiet = log.New(io.Discard, "", 0)

func TestCredentialText(t *testing.T) {
	for _, k := range []Kind{JoinToken, APIKey} {
		c := newCredential(k, Fingerprint{1, 2, 3})
		text := c.Text().Reveal()
		for _, with := range []string{text, " " + text + "\r\n"} {
			if got, err := parse(k, with); err != nil || got.String() != c.String() || got.Text().Reveal() != text {
				t.Errorf("%v: %v, %v", k, got, err)
			}
		}
		if strings.ContainsAny(text, " +/=%") {
			t.Errorf("%q needs quotes somewhere", text)
		}
	}
}

func TestCredentialRefused(t *testing.T) {
	c := newCredential(JoinToken, Fingerprint{1})
	text := c.Text().Reveal()
	checked := func(body string) string { return body + "." + checksum(body) }
	for name, x := range map[string]struct {
		text  string
		class salvor.ErrorClass
		words string
	}{
		"empty":       {" \n", salvor.Invalid, "is empty"},
		"two lines":   {text[:40] + "\n" + text[40:], salvor.Invalid, "more than one line"},
		"two tokens":  {text + "\n" + text, salvor.Invalid, "more than one line"},
		"long":        {strings.Repeat("x", maxText+1), salvor.Invalid, "more than one line"},
		"prose":       {"hunter2", salvor.Invalid, "does not begin with salvor-join"},
		"key":         {newCredential(APIKey, Fingerprint{}).Text().Reveal(), salvor.Invalid, "this is of the kind API key"},
		"newer":       {strings.Replace(text, "join-1", "join-2", 1), salvor.TooNew, "another version"},
		"cut":         {text[:len(text)-1], salvor.Invalid, "checksum"},
		"cut at dot":  {text[:strings.LastIndexByte(text, '.')], salvor.Invalid, "checksum"},
		"head only":   {"salvor-join-1", salvor.Invalid, "checksum"},
		"one digit":   {strings.Replace(text, c.ID[:4], "zzzz", 1), salvor.Invalid, "checksum"},
		"bad id":      {checked("salvor-join-1.ABCDEFABCDEFABCD." + c.Secret.Reveal() + "." + c.CA.String()), salvor.Invalid, "right form"},
		"short":       {checked("salvor-join-1." + c.ID + ".AAAA." + c.CA.String()), salvor.Invalid, "right form"},
		"upper print": {checked("salvor-join-1." + c.ID + "." + c.Secret.Reveal() + "." + strings.ToUpper(Fingerprint{0xab}.String())), salvor.Invalid, "right form"},
		"no print":    {checked("salvor-join-1." + c.ID + "." + c.Secret.Reveal() + "."), salvor.Invalid, "right form"},
	} {
		_, err := ParseToken(x.text)
		if err == nil || salvor.ClassOf(err) != x.class || !strings.Contains(err.Error(), x.words) {
			t.Errorf("%s: got %v, want %v with %q", name, err, x.class, x.words)
			continue
		}
		if salvor.HintOf(err) == "" || strings.Contains(err.Error()+salvor.HintOf(err), c.Secret.Reveal()[:8]) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, hint %q: a remedy is missing, or the text shows", name, err, salvor.HintOf(err))
		}
	}
}

// Every text that is cut, at whatever place, is told from a whole one.
func TestCredentialCutAnywhere(t *testing.T) {
	text := newCredential(JoinToken, Fingerprint{9}).Text().Reveal()
	for n := range len(text) {
		if _, err := ParseToken(text[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes were taken", n, len(text))
		}
		if _, err := ParseToken(text[n+1:]); err == nil {
			t.Fatalf("the text without its first %d bytes was taken", n+1)
		}
	}
}

func TestSecretNeverShows(t *testing.T) {
	c := newCredential(APIKey, Fingerprint{})
	s := struct {
		C Credential
		P *Credential
		M map[string]Secret
	}{c, &c, map[string]Secret{"x": c.Secret}}
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%p", "%10.3s"} {
		fmt.Fprintf(&out, verb+verb+verb+"\n", c.Secret, s, []any{c, &c, c.Text()})
	}
	b, err := json.Marshal(s)
	must(t, err)
	out.Write(b)
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "secret", c.Secret, "credential", c, "all", s, "text", c.Text())
	}
	fmt.Fprint(&out, noKey("with %v", c.Secret), fmt.Errorf("x: %w", salvor.Errorf(salvor.Invalid, "%d", c.Secret)))
	got := out.String()
	if hex := fmt.Sprintf("%x", c.Secret.Reveal()[:6]); strings.Contains(got, c.Secret.Reveal()[:6]) || strings.Contains(strings.ToLower(got), hex) {
		t.Errorf("the secret %s shows:\n%s", c.Secret.Reveal(), got)
	}
	if !strings.Contains(got, hidden) {
		t.Error("nothing shows that there is a secret")
	}
}

func FuzzParseCredential(f *testing.F) {
	for _, k := range []Kind{JoinToken, APIKey} {
		f.Add(newCredential(k, Fingerprint{7}).Text().Reveal())
	}
	f.Add("salvor-join-1.0.0.0.0")
	f.Add("salvor-key-9....")
	f.Fuzz(func(t *testing.T, text string) {
		for _, k := range []Kind{JoinToken, APIKey} {
			c, err := parse(k, text)
			if err != nil {
				if salvor.ClassOf(err) == salvor.Internal || salvor.HintOf(err) == "" {
					t.Fatalf("%q: %v", text, err)
				}
				continue
			}
			// There is one text for each credential.
			if c.Kind != k || c.Text().Reveal() != strings.TrimSpace(text) {
				t.Fatalf("%q was read as %v", text, c)
			}
		}
	})
}

// The messages of a join hide what is secret in them, but for the wire.
func TestJoinMessagesHide(t *testing.T) {
	secret := "c2VjcmV0"
	q, a := JoinRequest{Token: NewSecret(secret)}, JoinAnswer{CAKey: NewSecret(secret)}
	b, err := json.Marshal([]any{q, a})
	must(t, err)
	if got := fmt.Sprintf("%+v %#v %s", q, a, b); strings.Contains(got, secret) {
		t.Error(got)
	}
	b, err = json.Marshal([]any{joinWire{q, q.Token.Reveal()}, a.wire()})
	if must(t, err); strings.Count(string(b), secret) != 2 {
		t.Errorf("what travels is %s", b)
	}
}
