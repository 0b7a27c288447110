package risk_test

import (
	"fmt"
	"strings"
	"testing"

	"salvor/coordinator/risk"
)

func TestDatesOfProse(t *testing.T) {
	for text, want := range map[string]string{
		"The site closes on December 31, 2026.":                       "2026-12-31",
		"We shut down Dec 31st 2026; read-only from 15 December 2026": "2026-12-31 2026-12-15",
		"after the 1st of March, 2027 nothing is left":                "2027-03-01",
		"Sept. 5, 2026":           "2026-09-05",
		"on 2026-12-31T18:00:00Z": "2026-12-31",
		"Am 31. Dezember 2026 schalten wir ab, Export bis 15.12.2026": "2026-12-31 2026-12-15",
		"Le 1er février 2027 et le 31 décembre 2026":                  "2027-02-01 2026-12-31",
		"el 31 de diciembre de 2026":                                  "2026-12-31",
		"il 3 marzo 2027":                                             "2027-03-03",
		"op 31 maart 2027":                                            "2027-03-31",
		"em 1º de março de 2027":                                      "2027-03-01",
		"Сервис закроется 31 декабря 2026 года":                       "2026-12-31",
		"サービスは2026年12月31日に終了します":                                      "2026-12-31",
		"将于2026年1月5日停止服务":                                             "2026-01-05",
		"on 12/31/2026, or 31/12/2026":                                "2026-12-31",
		"on 03/04/2026":                                               "", // which?
		"on 05/05/2026":                                               "2026-05-05",
		"on December 31":                                              "", // of which year?
		"February 30, 2026, Smarch 3, 2026 and 13 apples 2026":        "",
		"version 1.2.20261 has 2026 pages, call 0123-45-6789":         "",
		"31 December 2026 and again December 31, 2026":                "2026-12-31",
		"December 1, 0026":                                            "",
		"":                                                            "",
	} {
		var got []string
		for _, d := range risk.Dates(text) {
			got = append(got, d.Format("2006-01-02"))
		}
		if g := strings.Join(got, " "); g != want {
			t.Errorf("%q has %q, want %q", text, g, want)
		}
	}
}

func FuzzDates(f *testing.F) {
	f.Add("on 31 December 2026, 2026年1月5日, 12/31/2026")
	f.Fuzz(func(t *testing.T, text string) {
		for _, d := range risk.Dates(text) {
			if d.Year() < 1990 || d.Year() > 2200 || d.Hour() != 0 {
				t.Error(fmt.Sprint(d))
			}
		}
	})
}
