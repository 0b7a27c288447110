package canon

import "strings"

// cleanHost is the length of a host that the parser would copy, and of the
// host with its port; -1 where it might change or refuse it: upper case,
// punycode, odd numbers, hyphens in odd places, a default port.
func cleanHost(scheme, s string) (host, authority int) {
	label, first := 0, byte(0) // where the label starts, and with what
	i := 0
	for ; i < len(s) && class[s[i]]&hostByte != 0; i++ {
		switch c := s[i]; {
		case c == '.':
			if i == label || s[i-1] == '-' || i-label > 63 {
				return -1, -1
			}
			label = i + 1
		case i == label:
			if first = c; c == '-' {
				return -1, -1
			}
		case c == '-' && s[i-1] == '-':
			return -1, -1
		}
	}
	if i == label || s[i-1] == '-' || i-label > 63 || i > 253 || !isAlpha(first) && !isIPv4(s[:i]) {
		return -1, -1
	}
	if i < len(s) && s[i] == ':' {
		n := cleanPort(scheme, s[i+1:])
		if n < 0 {
			return -1, -1
		}
		return i, i + 1 + n
	}
	if i < len(s) && s[i] != '/' {
		return -1, -1
	}
	return i, i
}

// isIPv4 reports whether s is an address as the serialiser writes it.
func isIPv4(s string) bool {
	for part := range 4 {
		num, rest, dot := strings.Cut(s, ".")
		if dot != (part < 3) || num == "" || len(num) > 3 || num[0] == '0' && num != "0" || len(num) == 3 && num > "255" {
			return false
		}
		for i := range len(num) {
			if num[i] < '0' || num[i] > '9' {
				return false
			}
		}
		s = rest
	}
	return true
}

// cleanPort is the length of a port that stays as it is and is followed by a
// path, or -1.
func cleanPort(scheme, s string) int {
	n, port := 0, 0
	for n < len(s) && n < 5 && '0' <= s[n] && s[n] <= '9' {
		port = port*10 + int(s[n]-'0')
		n++
	}
	switch {
	case n == 0 || s[0] == '0' || port > 65535 || n < len(s) && s[n] != '/':
		return -1
	case scheme == "http" && port == 80 || scheme == "https" && port == 443:
		return -1
	}
	return n
}
