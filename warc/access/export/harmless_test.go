package export

import "testing"

// TestHarmless: a text from the network is no formula in a spreadsheet.
func TestHarmless(t *testing.T) {
	for in, want := range map[string]string{"=1+1": "'=1+1", "@x": "'@x", "-1": "'-1", "+1": "'+1", "\tx": "'\tx", "http://a/=1": "http://a/=1", "": ""} {
		if got := harmless(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}
