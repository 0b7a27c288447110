package probe

import (
	"bytes"
	_ "embed"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"salvor"
	"salvor/coordinator/risk"
)

//go:embed fingerprints.txt
var fingerprintText string

// mark is a line of the file of fingerprints.
type mark struct{ signal, where, text string }

// parseMarks reads the file. Errors name the line.
func parseMarks(text string) (out []mark, err error) {
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := strings.SplitN(line, "|", 3)
		if len(f) != 3 {
			return nil, salvor.Errorf(salvor.Invalid, "fingerprints:%d: not SIGNAL | WHERE | TEXT", i+1)
		}
		m := mark{strings.TrimSpace(f[0]), strings.TrimSpace(f[1]), strings.ToLower(strings.TrimSpace(f[2]))}
		if _, ok := risk.Default().Signal(m.signal); !ok {
			return nil, salvor.Errorf(salvor.Invalid, "fingerprints:%d: there is no signal %q", i+1, m.signal)
		}
		if m.where != "title" && m.where != "body" && m.where != "path" && m.where != "host" || m.text == "" {
			return nil, salvor.Errorf(salvor.Invalid, "fingerprints:%d: looks at title, body, path or host for a text", i+1)
		}
		out = append(out, m)
	}
	return out, nil
}

// page is an answer as it is judged.
type page struct {
	status int
	header http.Header
	asked  string // host that was asked
	final  *url.URL
	body   []byte // as much as was read
}

var titleForm = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)

func (p *page) title() string {
	if m := titleForm.FindSubmatch(p.body); m != nil {
		return strings.Join(strings.Fields(string(m[1])), " ")
	}
	return ""
}

func (m mark) matches(p *page, title string, body []byte) bool {
	switch m.where {
	case "title":
		return strings.Contains(title, m.text)
	case "path":
		return strings.Contains(strings.ToLower(p.final.Path), m.text)
	case "host":
		h := strings.ToLower(p.final.Hostname())
		return h == m.text || strings.HasSuffix(h, "."+m.text)
	}
	return bytes.Contains(body, []byte(m.text)) && len(strings.Join(strings.Fields(visible(body)), " ")) < littleText
}

// littleText is how much a page has to read that only says that there is none: a
// forum in which people speak of such pages has more.
const littleText = 1500

// classify says which of the signals of a look at a page it is.
func classify(p *page, marks []mark) (signal, detail string) {
	title, body := strings.ToLower(p.title()), bytes.ToLower(p.body)
	switch s := p.status; {
	case s == http.StatusUnavailableForLegalReasons:
		return risk.SigLegalBlock, "451"
	case s >= 521 && s <= 526 || s == 530:
		return risk.SigOriginDown, fmt.Sprint(s)
	}
	for _, m := range marks {
		if m.matches(p, title, body) {
			return m.signal, fmt.Sprintf("%s has %q", m.where, m.text)
		}
	}
	switch s := p.status; {
	case challenged(p, title):
		return risk.SigBotWall, fmt.Sprintf("%d, a challenge", s)
	case s == 401 || s == 403 || s == 405 || s == 406 || s == 429:
		return risk.SigBotWall, fmt.Sprint(s)
	case s >= 500:
		return risk.SigDown, fmt.Sprint(s)
	case s == 404 || s == 410:
		return risk.SigBrokenApp, fmt.Sprintf("%d for the front page", s)
	}
	return risk.SigHealthy, fmt.Sprint(p.status)
}

// challenged says that the page only asks whether a person is there.
func challenged(p *page, title string) bool {
	return p.header.Get("Cf-Mitigated") != "" || title == "just a moment..." || strings.HasPrefix(title, "attention required!") ||
		p.status == 503 && bytes.Contains(bytes.ToLower(p.body), []byte("captcha"))
}

// closing are phrases of a notice that a site closes.
var closing = regexp.MustCompile(`(?i)(?:\b(?:shut(ting)? down|will be (shut|closed|discontinued)|winding down|wind down|is closing|closing (its|our) doors|will close (on|in)|sunset(ting)? (on|this)|ceas(e|ing) operations|will no longer be available|(export|download|save|back up) your (data|content|posts|files) (by|before|until)|wird (am [^.<]{1,30} )?(eingestellt|abgeschaltet|geschlossen)|stellen? (den|ihren) betrieb ein|schlie(ß|ss)en (zum|am) [0-9]|ferme(ra)? ses portes|cessera d'exister|cerrar[aá] (el|sus)|dejar[aá] de (estar|funcionar))|закрыва(?:ется|емся|ем)|прекраща(?:ет|ем) работу|サービスを終了|サービス終了|終了いたします|关闭服务|停止服务|停止运营|關閉服務|停止服務)`)

// notice is the first phrase of closing in the upper part of a page, and the phrase
// with what follows it; "" none. What is below are posts of people.
func notice(body []byte) (phrase, text string) {
	all := visible(titleForm.ReplaceAll(body, nil))
	at := closing.FindStringIndex(all)
	if at == nil {
		return "", ""
	}
	text = strings.ToValidUTF8(strings.Join(strings.Fields(all[at[0]:min(at[1]+80, len(all))]), " "), "")
	return strings.ToLower(all[at[0]:at[1]]), text
}

var (
	tagForm    = regexp.MustCompile(`(?s)<[^>]*>`)
	scriptForm = regexp.MustCompile(`(?is)<(script|style|noscript)\b.*?</(script|style|noscript)>`)
)

// upper is how much text of a page is its frame and first two screens.
const upper = 4000

func visible(body []byte) string {
	b := tagForm.ReplaceAll(scriptForm.ReplaceAll(body, nil), []byte(" "))
	return string(b[:min(len(b), upper)])
}

// walled says that a page lets nobody read without an account.
func walled(p *page) bool {
	path := strings.ToLower(p.final.Path)
	for _, w := range []string{"/login", "/signin", "/sign-in", "/sign_in", "/accounts/login", "/users/sign_in"} {
		if strings.HasPrefix(path, w) {
			return true
		}
	}
	return false
}
