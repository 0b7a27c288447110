package cdx

import (
	"bytes"
	"regexp"
)

// Session ids in URLs, as web servers of their time put them there: ASP.NET
// in the path; Java, PHP, Zope, ASP and ColdFusion in the query. The input is
// in lower case.
var (
	pathSessions = []*regexp.Regexp{
		regexp.MustCompile(`^(.*/)\((?:[a-z]\([0-9a-z]{24}\))+\)/([^?]+\.aspx.*)$`),
		regexp.MustCompile(`^(.*/)\([0-9a-z]{24}\)/([^?]+\.aspx.*)$`),
	}
	querySessions = []*regexp.Regexp{
		regexp.MustCompile(`^(.*)jsessionid=[0-9a-z]{32}(?:&(.*))?$`),
		regexp.MustCompile(`^(.*)phpsessid=[0-9a-z]{32}(?:&(.*))?$`),
		regexp.MustCompile(`^(.*)sid=[0-9a-z]{32}(?:&(.*))?$`),
		regexp.MustCompile(`^(.*)aspsessionid[a-z]{8}=[a-z]{24}(?:&(.*))?$`),
		regexp.MustCompile(`^(.*)cfid=[^&]+&cftoken=[^&]+(?:&(.*))?$`),
	}
)

func stripPathSession(p []byte) []byte {
	if !bytes.Contains(p, []byte(".aspx")) || bytes.IndexByte(p, '(') < 0 {
		return p
	}
	return strip(pathSessions, p)
}

func stripQuerySession(q []byte) []byte {
	if !bytes.Contains(q, []byte("sid=")) && !bytes.Contains(q, []byte("sessionid")) && !bytes.Contains(q, []byte("cfid=")) {
		return q
	}
	return strip(querySessions, q)
}

// strip keeps both groups of every pattern that matches.
func strip(patterns []*regexp.Regexp, b []byte) []byte {
	for _, re := range patterns {
		if m := re.FindSubmatch(b); m != nil {
			b = append(bytes.Clone(m[1]), m[2]...)
		}
	}
	return b
}
