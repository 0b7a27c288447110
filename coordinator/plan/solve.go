package plan

import "math"

// Amounts and gains of the network are whole numbers: thousandths of a request,
// and parts of the highest value.
const (
	unit  = 1000.0
	grain = 1 << 36
)

// flows is a plan as a network: the requests of a tier flow to an interval,
// through what the host may get there, what its pools may, and what the workers
// do; or they stay behind, at the root.
type flows struct {
	in      *Input
	w       *weights
	classes []class
	top     float64 // highest value there is

	net       *network
	intervals []int32
	arcs      [][]tierArcs // by class
	capacity  []int32      // arc by interval
	own       [][]int32    // arc by class, then interval; -1 none
}

// tierArcs are one tier's arcs, by interval; -1 none.
type tierArcs struct {
	value float64
	arc   []int32
}

func newFlows(in *Input, w *weights, classes []class) *flows {
	k := len(w.bounds) - 1
	f := &flows{in: in, w: w, classes: classes, arcs: make([][]tierArcs, len(classes)), own: make([][]int32, len(classes))}
	tiers := 0
	for i := range classes {
		f.top = max(f.top, classes[i].top())
		tiers += len(classes[i].tiers)
	}
	nodes := 1 + k*(1+len(in.Pools)+len(classes)) + tiers
	f.net = newNetwork(nodes, nodes+k*tiers)
	for j := range k {
		v, arc := f.net.node(0, 0, 0, amount(f.capacityIn(j)))
		f.intervals, f.capacity = append(f.intervals, v), append(f.capacity, arc)
	}
	pools := f.addPools(k)
	for i := range classes {
		f.addClass(i, k, pools)
	}
	return f
}

// capacityIn is what the workers do in an interval.
func (f *flows) capacityIn(k int) float64 {
	return supply(f.in.Capacity, f.w.bounds[k], f.w.bounds[k+1])
}

func amount(n float64) int64 { return int64(min(math.Round(n*unit), endless/8)) }

// addPools makes a node for each pool and interval.
func (f *flows) addPools(k int) [][]int32 {
	pools := make([][]int32, len(f.in.Pools))
	for p, x := range f.in.Pools {
		pools[p] = make([]int32, k)
		for j := range k {
			to := f.intervals[j]
			if x.Pool >= 0 && x.Pool < p {
				to = pools[x.Pool][j]
			}
			pools[p][j], _ = f.net.node(0, to, 0, amount(x.Rate*f.w.length(j)))
		}
	}
	return pools
}

// addClass makes a class's nodes: one an interval for what it may get, one a
// tier for what it has.
func (f *flows) addClass(i, k int, pools [][]int32) {
	c := &f.classes[i]
	at := make([]int32, k)
	f.own[i] = make([]int32, k)
	for j := range k {
		if at[j] = -1; c.there[j] <= 0 {
			f.own[i][j] = -1
			continue
		}
		to := f.intervals[j]
		if c.pool >= 0 {
			to = pools[c.pool][j]
		}
		most := c.rate * f.w.length(j)
		if j == 0 {
			most = c.ready
		}
		at[j], f.own[i][j] = f.net.node(0, to, 0, amount(most))
	}
	for _, t := range c.tiers {
		if t.Left <= 0 || t.Value <= 0 {
			continue
		}
		v, _ := f.net.node(amount(t.Left), 0, 0, endless)
		arcs := tierArcs{value: t.Value, arc: make([]int32, k)}
		for j := range k {
			arcs.arc[j] = -1
			if at[j] >= 0 {
				arcs.arc[j] = f.net.arc(v, at[j], f.gain(c, t.Value, j), endless)
			}
		}
		f.arcs[i] = append(f.arcs[i], arcs)
	}
}

// gain is the value of a request in an interval, as a whole number. Who is
// served already is worth a little more now.
func (f *flows) gain(c *class, value float64, k int) int64 {
	g := value / f.top * c.there[k]
	if k == 0 && c.before {
		g *= hysteresis
	}
	return int64(math.Round(g * grain))
}

// plan reads the flow.
func (f *flows) plan() Plan {
	k := len(f.w.bounds) - 1
	p := Plan{Hosts: make([]Service, len(f.in.Hosts)), Bounds: f.w.bounds, Price: make([]float64, k)}
	for j, v := range f.intervals {
		p.Price[j] = max(0, -float64(f.net.worth[v])/grain*f.top)
	}
	for i := range f.classes {
		s := f.read(i)
		p.Saved, p.Value = p.Saved+s.saved, p.Value+s.value
		f.classes[i].divide(f.in, s, f.w.length(0), p.Hosts)
	}
	return p
}

// share is what a class gets.
type share struct{ now, saved, value float64 }

func (f *flows) read(i int) (s share) {
	c := &f.classes[i]
	for _, t := range f.arcs[i] {
		for j, arc := range t.arc {
			if arc < 0 {
				continue
			}
			n := float64(f.net.flow[arc]) / unit
			if j == 0 {
				s.now += n
			}
			s.saved += n * c.there[j]
			s.value += n * c.there[j] * t.value
		}
	}
	return s
}
