package plan

import "math"

// network is a flow problem of maximal gain: every node but the root has a
// supply, and all of it must reach the root. It is solved by the network simplex
// method (Dantzig 1951; strongly feasible trees: Cunningham, Mathematical
// Programming 11, 1976), which is exact, since amounts and gains are whole
// numbers.
//
// Each node is made with an arc to a node there is: these arcs are the first
// tree, and carry the supplies. Node 0 is the root.
type network struct {
	from, to  []int32
	gain, cap []int64
	flow      []int64

	parent []int32
	pred   []int32 // arc to the parent
	rises  []bool  // pred goes from the node to its parent
	depth  []int32
	worth  []int64 // gain of one unit from the node to the root along the tree
	child  []int32 // first; -1 none
	next   []int32 // sibling
	prev   []int32

	inTree []bool // by arc
	scan   int    // where the search for an arc goes on
	path   []int32
}

// endless is a capacity that nothing reaches.
const endless = math.MaxInt64 / 4

func newNetwork(nodes, arcs int) *network {
	n := &network{
		from: make([]int32, 0, arcs), to: make([]int32, 0, arcs), gain: make([]int64, 0, arcs),
		cap: make([]int64, 0, arcs), flow: make([]int64, 0, arcs), inTree: make([]bool, 0, arcs),
		parent: make([]int32, 0, nodes), pred: make([]int32, 0, nodes), rises: make([]bool, 0, nodes),
		depth: make([]int32, 0, nodes), worth: make([]int64, 0, nodes),
		child: make([]int32, 0, nodes), next: make([]int32, 0, nodes), prev: make([]int32, 0, nodes),
	}
	n.grow() // the root
	n.parent[0], n.pred[0] = -1, -1
	return n
}

func (n *network) grow() int32 {
	v := int32(len(n.parent))
	n.parent, n.pred, n.rises = append(n.parent, 0), append(n.pred, 0), append(n.rises, true)
	n.depth, n.worth = append(n.depth, 0), append(n.worth, 0)
	n.child, n.next, n.prev = append(n.child, -1), append(n.next, -1), append(n.prev, -1)
	return v
}

// node makes a node with a supply and an arc to another, which carries the
// supply on. The capacity of that arc, and of those it leads to, must hold it.
func (n *network) node(supply int64, to int32, gain, capacity int64) (v, arc int32) {
	v = n.grow()
	arc = n.arc(v, to, gain, capacity)
	n.flow[arc], n.inTree[arc] = supply, true
	n.pred[v] = arc
	n.depth[v], n.worth[v] = n.depth[to]+1, n.worth[to]+gain
	n.hang(v, to)
	return v, arc
}

func (n *network) arc(from, to int32, gain, capacity int64) int32 {
	n.from, n.to = append(n.from, from), append(n.to, to)
	n.gain, n.cap = append(n.gain, gain), append(n.cap, capacity)
	n.flow, n.inTree = append(n.flow, 0), append(n.inTree, false)
	return int32(len(n.from) - 1)
}

func (n *network) hang(v, parent int32) {
	n.parent[v] = parent
	n.prev[v], n.next[v] = -1, n.child[parent]
	if c := n.child[parent]; c >= 0 {
		n.prev[c] = v
	}
	n.child[parent] = v
}

func (n *network) unhang(v int32) {
	if p := n.prev[v]; p >= 0 {
		n.next[p] = n.next[v]
	} else {
		n.child[n.parent[v]] = n.next[v]
	}
	if x := n.next[v]; x >= 0 {
		n.prev[x] = n.prev[v]
	}
}

// solve makes the gain as large as it can be. It is false when stop, asked now
// and then, ended it before: the flow is feasible then, and not the best.
func (n *network) solve(stop func() bool) bool {
	for i := 0; ; i++ {
		if i%256 == 255 && stop() {
			return false
		}
		e := n.enter()
		if e < 0 {
			return true
		}
		n.pivot(e)
	}
}

// enter finds an arc whose use would raise the gain: the best of a block, going
// round all arcs; -1 if there is none.
func (n *network) enter() int32 {
	m := len(n.from)
	block := max(int(math.Sqrt(float64(m))), 64)
	best, by := int32(-1), int64(0)
	for i := range m {
		e := n.scan
		if n.scan++; n.scan == m {
			n.scan = 0
		}
		if !n.inTree[e] && n.cap[e] > 0 {
			r := n.gain[e] + n.worth[n.to[e]] - n.worth[n.from[e]]
			if n.flow[e] > 0 {
				r = -r
			}
			if r > by {
				best, by = int32(e), r
			}
		}
		if best >= 0 && i%block == block-1 {
			break
		}
	}
	return best
}

// pivot sends as much as can be round the cycle that an arc closes, and puts the
// arc in the place of the one that was full or empty first.
func (n *network) pivot(e int32) {
	// Flow goes up from second to the join and down from there to first.
	first, second := n.from[e], n.to[e]
	if n.flow[e] > 0 {
		first, second = second, first
	}
	join := n.join(first, second)
	amount, out := n.cap[e], int32(-1)
	below := first // on whose side of the cycle the leaving arc lies
	for v := first; v != join; v = n.parent[v] {
		if r := n.room(v, !n.rises[v]); r < amount {
			amount, out = r, v
		}
	}
	for v := second; v != join; v = n.parent[v] {
		if r := n.room(v, n.rises[v]); r <= amount { // the last one on the way round: the tree stays strongly feasible
			amount, out, below = r, v, second
		}
	}
	n.push(e, first, second, join, amount)
	if out >= 0 {
		n.replace(e, out, below, first+second-below)
	}
}

// room is what the arc between a node and its parent can take more of, or give
// back.
func (n *network) room(v int32, more bool) int64 {
	e := n.pred[v]
	if more {
		return n.cap[e] - n.flow[e]
	}
	return n.flow[e]
}

func (n *network) join(a, b int32) int32 {
	for a != b {
		if n.depth[a] >= n.depth[b] {
			a = n.parent[a]
		} else {
			b = n.parent[b]
		}
	}
	return a
}

func (n *network) push(e, first, second, join int32, amount int64) {
	if amount == 0 {
		return
	}
	if n.from[e] == first {
		n.flow[e] += amount
	} else {
		n.flow[e] -= amount
	}
	for v := first; v != join; v = n.parent[v] {
		if n.rises[v] {
			n.flow[n.pred[v]] -= amount
		} else {
			n.flow[n.pred[v]] += amount
		}
	}
	for v := second; v != join; v = n.parent[v] {
		if n.rises[v] {
			n.flow[n.pred[v]] += amount
		} else {
			n.flow[n.pred[v]] -= amount
		}
	}
}

// replace cuts the tree above out and hangs that part, turned so that it begins
// with below, on the other end of the arc.
func (n *network) replace(e, out, below, other int32) {
	n.inTree[n.pred[out]], n.inTree[e] = false, true
	n.path = n.path[:0]
	for v := below; ; v = n.parent[v] {
		n.path = append(n.path, v)
		if v == out {
			break
		}
	}
	for i := len(n.path) - 1; i >= 0; i-- {
		n.unhang(n.path[i])
	}
	for i := len(n.path) - 1; i > 0; i-- { // who was the parent becomes the child
		v, under := n.path[i], n.path[i-1]
		n.pred[v], n.rises[v] = n.pred[under], !n.rises[under]
		n.hang(v, under)
	}
	n.pred[below], n.rises[below] = e, n.from[e] == below
	n.hang(below, other)
	n.refresh(below)
}

// refresh brings depth and worth of a part of the tree up to date.
func (n *network) refresh(top int32) {
	for v := top; ; {
		p, e := n.parent[v], n.pred[v]
		n.depth[v] = n.depth[p] + 1
		if n.rises[v] {
			n.worth[v] = n.worth[p] + n.gain[e]
		} else {
			n.worth[v] = n.worth[p] - n.gain[e]
		}
		if n.child[v] >= 0 {
			v = n.child[v]
			continue
		}
		for v != top && n.next[v] < 0 {
			v = n.parent[v]
		}
		if v == top {
			return
		}
		v = n.next[v]
	}
}
