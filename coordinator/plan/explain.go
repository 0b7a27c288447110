package plan

// explain says for each host what bounds its rate now.
func (p *Plan) explain(in *Input, w *weights) {
	full := p.fullPools(in)
	for i := range p.Hosts {
		p.Hosts[i].Why = p.why(in, w, i, full)
	}
}

func (p *Plan) why(in *Input, w *weights, i int, full []bool) Reason {
	h, s, length := &in.Hosts[i], &p.Hosts[i], w.length(0)
	const close = 0.999
	switch {
	case h.left() <= 0:
		return ByDone
	case w.there[i][0] == 0:
		return ByLoss
	case s.Rate >= h.Rate*close:
		return ByBudget
	case s.Rate >= h.ready(length)/length*close:
		return ByQueue
	case h.Pool >= 0 && full[h.Pool]:
		return ByPool
	case p.finishes(h, s):
		return ByLater
	}
	return ByCapacity
}

// finishes says that all of a host is planned for, as far as it is likely to be
// there.
func (p *Plan) finishes(h *Host, s *Service) bool { return s.Saved >= 0.9*h.left() }

// fullPools are the pools that give no more, or are parts of one that does not.
func (p *Plan) fullPools(in *Input) []bool {
	full, sum := make([]bool, len(in.Pools)), make([]float64, len(in.Pools))
	for i, s := range p.Hosts {
		for q := in.Hosts[i].Pool; q >= 0; q = in.Pools[q].Pool {
			sum[q] += s.Rate
		}
	}
	for q, x := range in.Pools { // what a pool is a part of stands before it
		full[q] = sum[q] >= x.Rate*0.999 || x.Pool >= 0 && full[x.Pool]
	}
	return full
}
