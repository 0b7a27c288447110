// Package shares splits the budget of a group of merged hosts that live in
// several Raft groups: each of these may book its share.
//
// It is for who moves shares when demand changes. It guarantees that, whenever
// its steps are taken in order and with their delays, the shares in force never
// sum up to more than the budget. A share that was lowered is in force until
// every lease that was granted under it has ended or was cut (protocol 2).
package shares

import (
	"time"

	"salvor"
)

// Settle is how long after it was acknowledged a lower share holds for sure: a
// lease of before was extended under the new one by then, or has ended.
const Settle = salvor.LeaseTTL + 2*time.Second

// Step sets the share of one Raft group.
type Step struct {
	Group int
	Share salvor.Pace
	// After is how long all steps before must have been acknowledged. Steps
	// without it may be taken together with the one before.
	After time.Duration
}

// Share is what one Raft group may book.
type Share struct {
	Now  salvor.Pace // as it was set last
	Most salvor.Pace // the highest that leases may still have; Now, if it stands for a while
}

// Plan leads from the shares that are to those that demand asks for. Demand is
// how many sessions want work, or any other weight, by Raft group; none anywhere
// counts as the same everywhere. Each group keeps a least share, so that new work
// can begin. There are no steps where nothing changes. A plan that broke off is
// followed by another, which needs to know what may still be in force.
//
// Shares that sum up to more than a budget that fell are lowered like any other.
func Plan(budget salvor.Pace, old []Share, demand []int) []Step {
	next := divide(budget, demand)
	var steps []Step
	wait := time.Duration(0)
	for g, s := range next {
		if s < old[g].Now {
			steps = append(steps, Step{Group: g, Share: s})
		}
		if s < old[g].Most {
			wait = Settle
		}
	}
	for g, s := range next {
		if s > old[g].Now {
			steps = append(steps, Step{Group: g, Share: s, After: wait})
			wait = 0
		}
	}
	return steps
}

// least is what a group without demand keeps of a budget: one part in so many.
const least = 20

// divide splits a budget by weights. The shares sum up to the budget, but for
// budgets of fewer units than there are groups.
func divide(budget salvor.Pace, demand []int) []salvor.Pace {
	n := salvor.Pace(len(demand))
	if n == 0 {
		return nil
	}
	keep := max(budget/n/least, 1) // 0 would mean all of it
	var sum salvor.Pace
	for _, d := range demand {
		sum += salvor.Pace(max(d, 0))
	}
	rest := budget - min(budget, keep*n)
	out := make([]salvor.Pace, n)
	left, most := rest, 0
	for g, d := range demand {
		part := rest / n
		if sum > 0 {
			part = rest / sum * salvor.Pace(max(d, 0))
		}
		out[g] = keep + part
		left -= part
		if d > demand[most] {
			most = g
		}
	}
	out[most] += left // what division left over
	return out
}
