package cli

import (
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"salvor"
	"salvor/cmd/salvor/internal/input"
	"salvor/cmd/salvor/internal/job"
)

// single is a flag that holds one parsed value; the last one given counts.
type single[T any] struct {
	at    *T
	parse func(string) (T, error)
	text  string
	kind  string // pflag's: "bool" needs no argument
}

func (v *single[T]) Set(s string) error {
	x, err := v.parse(s)
	if err == nil {
		*v.at, v.text = x, s
	}
	return err
}
func (v *single[T]) String() string { return v.text }
func (v *single[T]) Type() string   { return v.kind }

func one[T any](at *T, parse func(string) (T, error)) pflag.Value {
	return &single[T]{at: at, parse: parse, kind: "value"}
}

func text(at *string) pflag.Value {
	return one(at, func(s string) (string, error) {
		if strings.ContainsAny(s, "\r\n\x00") {
			return "", salvor.Errorf(salvor.Invalid, "more than one line").WithHint("write it in one line")
		}
		return s, nil
	})
}

// filled is a text that must say something.
func filled(at *string, remedy string) pflag.Value {
	v := text(at).(*single[string])
	parse := v.parse
	v.parse = func(s string) (string, error) {
		if strings.TrimSpace(s) == "" {
			return "", salvor.Errorf(salvor.Invalid, "it is empty").WithHint("%s", remedy)
		}
		return parse(s)
	}
	return v
}

// share is a number of 0 to 1, which may be written in per cent.
func share(at *float64) pflag.Value {
	v := &single[float64]{at: at, kind: "number", parse: func(s string) (float64, error) {
		x, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(s, "%")), 64)
		if strings.HasSuffix(s, "%") {
			x /= 100
		}
		if err != nil || !(x >= 0 && x <= 1) {
			return 0, salvor.Errorf(salvor.Invalid, "%q is no number of 0 to 1", s).WithHint("write for example 0.4 or 40%%")
		}
		return x, nil
	}}
	v.text = strconv.FormatFloat(*at, 'g', -1, 64)
	return v
}

func truth(at *bool) pflag.Value {
	v := &single[bool]{at: at, kind: "bool", parse: func(s string) (bool, error) {
		b, err := strconv.ParseBool(s)
		if err != nil {
			return false, salvor.Errorf(salvor.Invalid, "%q is neither true nor false", s).WithHint("write true or false")
		}
		return b, nil
	}}
	v.text = strconv.FormatBool(*at)
	return v
}

func whole(at *int, low, high int) pflag.Value {
	return one(at, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if err != nil || n < low || n > high {
			return 0, salvor.Errorf(salvor.Invalid, "%q is no number from %d to %d", s, low, high).WithHint("write a number in that range")
		}
		return n, nil
	})
}

// hops is a number of links, or "none" for no limit.
func hops(at *int) pflag.Value {
	return one(at, func(s string) (int, error) {
		n, err := strconv.Atoi(s)
		if s == "none" {
			return job.NoLimit, nil
		}
		if err != nil || n < 0 || n > 65535 {
			return 0, salvor.Errorf(salvor.Invalid, "%q is no number of hops", s).WithHint("write a number from 0 to 65535, or none")
		}
		return n, nil
	})
}

func count(at *int64) pflag.Value {
	return one(at, func(s string) (int64, error) {
		n, err := strconv.ParseInt(strings.ReplaceAll(s, ",", ""), 10, 64)
		if s == "none" {
			return 0, nil
		}
		if err != nil || n < 0 {
			return 0, salvor.Errorf(salvor.Invalid, "%q is no count", s).WithHint("write a number, for example 100000; 0 for no limit")
		}
		return n, nil
	})
}

func choice(at *string, names ...string) pflag.Value {
	return one(at, func(s string) (string, error) {
		if !slices.Contains(names, s) {
			return "", salvor.Errorf(salvor.Invalid, "%q is none of %s", s, strings.Join(names, ", ")).WithHint("choose one of them")
		}
		return s, nil
	})
}

// list is a flag that may be given several times.
type list[T any] struct {
	at    *[]T
	parse func(string) (T, error)
	texts []string
}

func (v *list[T]) Set(s string) error {
	x, err := v.parse(s)
	if err == nil {
		*v.at, v.texts = append(*v.at, x), append(v.texts, s)
	}
	return err
}
func (v *list[T]) String() string { return strings.Join(v.texts, " ") }
func (v *list[T]) Type() string   { return "list" }

func many[T any](at *[]T, parse func(string) (T, error)) pflag.Value {
	return &list[T]{at: at, parse: parse}
}

func any1(s string) (string, error) { return s, nil }

func expression(s string) (string, error) {
	if _, err := regexp.Compile(s); err != nil {
		return "", salvor.Errorf(salvor.Invalid, "%w", err).WithHint("the syntax is that of https://pkg.go.dev/regexp/syntax; a dot of a host name is written \\.")
	}
	return s, nil
}

func prefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, salvor.Errorf(salvor.Invalid, "%q is no address range", s).WithHint("write for example 10.0.0.0/8, 127.0.0.1/32 or fd00::/8")
	}
	return p.Masked(), nil
}

func address(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, salvor.Errorf(salvor.Invalid, "%q is no IP address", s).WithHint("write an address of this machine, for example 192.0.2.7")
	}
	return a, nil
}

// outcome reads one that --retry may queue again.
func outcome(s string) (salvor.Outcome, error) {
	o, ok := salvor.ParseOutcome(strings.ReplaceAll(s, "-", "_"))
	choice := "choose of " + outcomeNames(retriable)
	switch {
	case !ok:
		return 0, salvor.Errorf(salvor.Invalid, "%q is no outcome", s).WithHint("%s", choice)
	case o.HasCapture():
		return 0, salvor.Errorf(salvor.Invalid, "what is %s is in the archive and is not queued again", o).
			WithHint("%s; --again fetches everything anew", choice)
	case !slices.Contains(retriable, o):
		return 0, salvor.Errorf(salvor.Invalid, "what is %s is queued still: --resume goes on with it", o).WithHint("%s", choice)
	}
	return o, nil
}

// retriable are the outcomes that leave something to be had.
var retriable = []salvor.Outcome{salvor.Failed, salvor.Refused, salvor.Gone, salvor.Excluded, salvor.TooBig}

// outcomes also takes several, separated by commas.
type outcomes struct{ list[salvor.Outcome] }

func (v *outcomes) Set(s string) error {
	for part := range strings.SplitSeq(s, ",") {
		if err := v.list.Set(part); err != nil {
			return err
		}
	}
	return nil
}

func retryValue(at *[]salvor.Outcome) pflag.Value {
	return &outcomes{list[salvor.Outcome]{at: at, parse: outcome}}
}

// headerArg is a header, or @FILE with one a line. Its text is never shown.
func headerArg(s string) (string, error) {
	if strings.HasPrefix(s, "@") {
		return s, nil
	}
	_, err := input.Header(s)
	return s, err
}

func warcHeader(s string) ([2]string, error) { return input.WARCHeader(s) }
