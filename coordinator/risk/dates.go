package risk

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Dates finds the dates in a text for people, in the order in which they stand
// there: of ISO 8601, with the names of months in eight languages, with the signs of
// Chinese and Japanese, with dots as day, month and year, and with slashes where only
// one order is possible. They are proposals: a person confirms what they mean. A date
// without a year is none, since a feed is read years later too.
func Dates(text string) []time.Time {
	type found struct {
		at   int
		date time.Time
	}
	var all []found
	for _, f := range dateForms {
		for _, m := range f.re.FindAllStringSubmatchIndex(text, maxNamed) {
			part := func(i int) string { return text[m[2*i]:m[2*i+1]] }
			if d, ok := f.read(part); ok {
				all = append(all, found{m[0], d})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b found) int { return a.at - b.at })
	var out []time.Time
	for _, f := range all {
		if !slices.Contains(out, f.date) {
			out = append(out, f.date)
		}
	}
	return out
}

type dateForm struct {
	re   *regexp.Regexp
	read func(part func(int) string) (time.Time, bool)
}

const monthName = `([\p{L}]{3,12})\.?`

var dateForms = []dateForm{
	{regexp.MustCompile(`\b(\d{4})-(\d{2})-(\d{2})(?:\b|T)`), func(p func(int) string) (time.Time, bool) { return dateOf(p(1), p(2), p(3)) }},
	{regexp.MustCompile(`(\d{4})年 ?(\d{1,2})月 ?(\d{1,2})日`), func(p func(int) string) (time.Time, bool) { return dateOf(p(1), p(2), p(3)) }},
	{regexp.MustCompile(`\b(\d{1,2})\. ?(\d{1,2})\. ?(\d{4})\b`), func(p func(int) string) (time.Time, bool) { return dateOf(p(3), p(2), p(1)) }},
	{regexp.MustCompile(`\b(\d{1,2})/(\d{1,2})/(\d{4})\b`), slashed},
	{regexp.MustCompile(`\b(\d{1,2})(?:st|nd|rd|th|er|\.|º)?(?: of| de)? ` + monthName + `(?: de| del)?,? (\d{4})\b`), func(p func(int) string) (time.Time, bool) { return monthly(p(3), p(2), p(1)) }},
	{regexp.MustCompile(monthName + ` (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})\b`), func(p func(int) string) (time.Time, bool) { return monthly(p(3), p(1), p(2)) }},
}

// slashed is a date as in 12/31/2026 or 31/12/2026, where it can be only one.
func slashed(p func(int) string) (time.Time, bool) {
	american, ok1 := dateOf(p(3), p(1), p(2))
	european, ok2 := dateOf(p(3), p(2), p(1))
	switch {
	case ok1 && ok2 && !american.Equal(european):
		return time.Time{}, false
	case ok1:
		return american, true
	}
	return european, ok2
}

func monthly(year, month, day string) (time.Time, bool) {
	m, ok := months[strings.ToLower(month)]
	if !ok {
		return time.Time{}, false
	}
	return dateOf(year, strconv.Itoa(m), day)
}

func dateOf(year, month, day string) (time.Time, bool) {
	y, _ := strconv.Atoi(year)
	m, _ := strconv.Atoi(month)
	d, _ := strconv.Atoi(day)
	at := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	return at, dated(at) && at.Year() == y && int(at.Month()) == m && at.Day() == d
}

// months are their numbers by name, in lower case.
var months = func() map[string]int {
	out := map[string]int{}
	for _, list := range []string{
		"january february march april may june july august september october november december", // English
		"jan feb mar apr may jun jul aug sep oct nov dec",
		"januar februar märz april mai juni juli august september oktober november dezember",            // German
		"janvier février mars avril mai juin juillet août septembre octobre novembre décembre",          // French
		"enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",      // Spanish
		"gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre", // Italian
		"januari februari maart april mei juni juli augustus september oktober november december",       // Dutch
		"janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",      // Portuguese
		"января февраля марта апреля мая июня июля августа сентября октября ноября декабря",             // Russian
	} {
		for i, name := range strings.Fields(list) {
			out[name] = i + 1
		}
	}
	out["sept"] = 9
	return out
}()
