package extract

// srcset notes the URLs of an image candidate list. Commas occur inside URLs,
// so it cannot be split at them
// (https://html.spec.whatwg.org/#parsing-a-srcset-attribute).
func (s *scan) srcset(v []byte, context string) {
	for i := 0; ; {
		for i < len(v) && (v[i] == ',' || ends[v[i]]&isSpace != 0) {
			i++
		}
		if i >= len(v) {
			return
		}
		start := i
		for i < len(v) && ends[v[i]]&isSpace == 0 {
			i++
		}
		url := v[start:i]
		if url[len(url)-1] == ',' {
			for len(url) > 0 && url[len(url)-1] == ',' {
				url = url[:len(url)-1]
			}
		} else {
			i = descriptors(v, i)
		}
		s.ref(url, Requisite, context)
	}
}

// descriptors skips "2x" or "100w" up to the next comma outside parentheses.
func descriptors(v []byte, i int) int {
	inside := false
	for ; i < len(v); i++ {
		switch v[i] {
		case '(':
			inside = true
		case ')':
			inside = false
		case ',':
			if !inside {
				return i + 1
			}
		}
	}
	return i
}
