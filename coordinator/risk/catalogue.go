package risk

import (
	_ "embed"
	"slices"
	"sync"
	"time"
)

//go:embed catalogue.txt
var catalogueText string

// Catalogue is the weights of the model, as data.
type Catalogue struct {
	Version    int
	Classes    []Class
	Laws       []Law
	Mechanisms []Mechanism
	Signals    []Signal
}

// Class is a kind of site. Losses are a year.
type Class struct {
	Name  string
	Loss  [Clocks]float64
	Years float64 // what the prior is worth, in site-years
}

// Law is how a date is kept.
type Law struct {
	Name  string
	Early float64       // lost before it
	Late  float64       // lost after it
	Tail  time.Duration // mean of how long after
}

// Mechanism is a cause of loss, and what is believed of it without evidence.
// Evidence within one adds up to at most Cap, in log-odds, as it often has one
// cause; mechanisms are taken as independent.
type Mechanism struct {
	Name  string
	Clock Clock
	Prior float64
	Mean  time.Duration // to loss, once it is at work
	Cap   float64
}

// Role is what a signal says of the site's state.
type Role uint8

const (
	RoleNone Role = iota
	RoleUp        // a look at a page: it is there
	RoleWall      // a look at a page: it is there, for others
	RoleSick      // a look at a page: it is there, and broken
	RoleDown      // a look at a page: it is not there
	RoleName      // the name leads nowhere
)

var roleNames = [...]string{"none", "up", "wall", "sick", "down", "name"}

// look says whether the signal is what a look at a page found.
func (r Role) look() bool { return r != RoleNone && r != RoleName }

// Signal is an entry of the catalogue.
type Signal struct {
	ID      string
	Weights []Weight
	Event   bool          // it happened; else it is so while it is seen again
	Half    time.Duration // of its weight
	Fresh   time.Duration // how long a sight of a state holds unfaded
	Role    Role
	Confirm bool // one sight does not count
	Load    bool // our own load may be why
	Text    string
}

// Weight is a log-likelihood ratio for a mechanism: of the first subject, of a
// second, and so on; further ones weigh nothing.
type Weight struct {
	Mechanism string
	W         []float64
}

// Default is the catalogue this version has.
var Default = sync.OnceValue(func() *Catalogue {
	c, err := ParseCatalogue(catalogueText)
	if err != nil {
		panic(err) // its own file, which a test reads
	}
	return c
})

// Signal finds an entry.
func (c *Catalogue) Signal(id string) (Signal, bool) {
	return find(c.Signals, func(s Signal) bool { return s.ID == id })
}

func (c *Catalogue) class(name string) Class {
	if k, ok := find(c.Classes, func(k Class) bool { return k.Name == name }); ok {
		return k
	}
	k, _ := find(c.Classes, func(k Class) bool { return k.Name == "forum" })
	return k
}

func (c *Catalogue) law(name string) Law {
	if l, ok := find(c.Laws, func(l Law) bool { return l.Name == name }); ok {
		return l
	}
	l, _ := find(c.Laws, func(l Law) bool { return l.Name == "company" })
	return l
}

func find[T any](list []T, is func(T) bool) (x T, ok bool) {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i], true
	}
	return x, false
}

// Posterior is the base rate after some sites of the class died in some
// site-years: the mean of a Gamma posterior.
func (k Class) Posterior(c Clock, deaths, years float64) float64 {
	return (k.Loss[c]*k.Years + max(deaths, 0)) / (k.Years + max(years, 0))
}
