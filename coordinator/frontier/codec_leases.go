package frontier

import (
	"salvor"
	"salvor/api"
)

func (c *Grant) encode(w *writer) {
	w.uint(uint64(c.Session))
	w.uint(uint64(len(c.Hosts)))
	for _, h := range c.Hosts {
		w.uint(uint64(h.Crawl))
		w.string(h.Host)
		w.uint(uint64(max(h.Items, 0)))
		w.uint(uint64(h.Pace))
	}
}

func (c *Grant) decode(r *reader) {
	c.Session = salvor.SessionID(r.uint())
	c.Hosts = make([]GrantHost, r.count(4))
	for i := range c.Hosts {
		c.Hosts[i] = GrantHost{
			Crawl: salvor.CrawlID(r.small(1<<32 - 1)),
			Host:  r.string(),
			Items: int(r.small(1<<31 - 1)),
			Pace:  salvor.Pace(r.uint()),
		}
	}
}

func (c *Extend) encode(w *writer) {
	w.uint(uint64(c.Session))
	w.uint(uint64(c.Before))
	putExtensions(w, c.Held)
	// Written only where it says something, so that most entries are as they
	// were before it came.
	if c.From != 0 {
		w.uint(uint64(c.From))
	}
}

func (c *Extend) decode(r *reader) {
	c.Session = salvor.SessionID(r.uint())
	c.Before = salvor.LeaseID(r.uint())
	c.Held = getExtensions(r)
	if len(r.s) == 0 {
		return
	}
	if c.From = salvor.LeaseID(r.uint()); c.From == 0 {
		r.fail() // one form only
	}
}

func putExtensions(w *writer, list []api.Extension) {
	w.uint(uint64(len(list)))
	for _, x := range list {
		w.uint(uint64(x.Lease))
		w.uint(uint64(x.Pace))
	}
}

func getExtensions(r *reader) []api.Extension {
	n := r.count(2)
	if n == 0 {
		return nil
	}
	list := make([]api.Extension, n)
	for i := range list {
		list[i] = api.Extension{Lease: salvor.LeaseID(r.uint()), Pace: salvor.Pace(r.uint())}
	}
	return list
}

func (c *Expire) encode(w *writer) { w.uint(uint64(c.Lease)); w.uint(c.Renewal) }
func (c *Expire) decode(r *reader) {
	c.Lease = salvor.LeaseID(r.uint())
	c.Renewal = r.uint()
}

func (c *SetBudget) encode(w *writer) {
	w.uint(uint64(c.Crawl))
	w.string(c.Host)
	putOptional(w, c.Ceiling, func(v salvor.Pace) { w.uint(uint64(v)) })
	putOptional(w, c.Rate, func(v salvor.Pace) { w.uint(uint64(v)) })
	putOptional(w, c.Blocked, w.int)
	putOptional(w, c.Note, w.string)
}

func (c *SetBudget) decode(r *reader) {
	c.Crawl = salvor.CrawlID(r.small(1<<32 - 1))
	c.Host = r.string()
	c.Ceiling = getOptional(r, func() salvor.Pace { return salvor.Pace(r.uint()) })
	c.Rate = getOptional(r, func() salvor.Pace { return salvor.Pace(r.uint()) })
	c.Blocked = getOptional(r, r.int)
	c.Note = getOptional(r, r.string)
}

func (c *SetGroup) encode(w *writer) {
	w.uint(uint64(c.Crawl))
	w.string(c.Name)
	w.uint(uint64(len(c.Hosts)))
	for _, h := range c.Hosts {
		w.string(h)
	}
	w.uint(uint64(c.Share))
}

func (c *SetGroup) decode(r *reader) {
	c.Crawl = salvor.CrawlID(r.small(1<<32 - 1))
	c.Name = r.string()
	for range r.count(1) {
		c.Hosts = append(c.Hosts, r.string())
	}
	c.Share = salvor.Pace(r.uint())
}

func (c *SetShare) encode(w *writer) { w.string(c.Name); w.uint(uint64(c.Share)) }
func (c *SetShare) decode(r *reader) {
	c.Name = r.string()
	c.Share = salvor.Pace(r.uint())
}

func putOptional[T any](w *writer, v *T, put func(T)) {
	w.bool(v != nil)
	if v != nil {
		put(*v)
	}
}

func getOptional[T any](r *reader, get func() T) *T {
	if !r.bool() {
		return nil
	}
	v := get()
	return &v
}

func (c *Reopen) encode(w *writer) {
	w.uint(uint64(c.Crawl))
	w.string(c.Host)
	w.uint(uint64(len(c.Outcomes)))
	for _, o := range c.Outcomes {
		w.byte(byte(o))
	}
	w.string(c.Reason)
	w.bytes(c.After)
	w.uint(uint64(max(c.Limit, 0)))
}

func (c *Reopen) decode(r *reader) {
	c.Crawl = salvor.CrawlID(r.small(1<<32 - 1))
	c.Host = r.string()
	for range r.count(1) {
		c.Outcomes = append(c.Outcomes, salvor.Outcome(r.byte()))
	}
	c.Reason = r.string()
	c.After = r.bytes()
	c.Limit = int(r.small(1<<31 - 1))
}

func (c *Exclude) encode(w *writer) {
	w.uint(uint64(c.Crawl))
	w.string(c.Rule)
	w.uint(uint64(len(c.Items)))
	var host string
	for _, it := range c.Items {
		w.raw(it.Key[:])
		w.same(it.Host, &host)
	}
}

func (c *Exclude) decode(r *reader) {
	c.Crawl = salvor.CrawlID(r.small(1<<32 - 1))
	c.Rule = r.string()
	c.Items = make([]api.HostKey, r.count(17))
	var host string
	for i := range c.Items {
		c.Items[i].Key = r.key()
		c.Items[i].Host = r.same(&host)
	}
}

func (c *Rank) encode(w *writer) {
	w.uint(uint64(c.Crawl))
	w.uint(uint64(len(c.Items)))
	var host string
	for _, it := range c.Items {
		w.raw(it.Key[:])
		w.same(it.Host, &host)
		w.byte(byte(it.Band))
	}
}

func (c *Rank) decode(r *reader) {
	c.Crawl = salvor.CrawlID(r.small(1<<32 - 1))
	c.Items = make([]api.Ranked, r.count(18))
	var host string
	for i := range c.Items {
		c.Items[i].Key = r.key()
		c.Items[i].Host = r.same(&host)
		c.Items[i].Band = salvor.Band(r.byte())
	}
}
