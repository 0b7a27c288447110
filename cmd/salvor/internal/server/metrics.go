package server

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"salvor"
	"salvor/api"
)

// metrics are what /metrics tells of a node. Names and labels are a contract:
// docs/operating.md lists them.
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.HistogramVec
}

// newMetrics collects from status whenever somebody asks.
func newMetrics(version string, status func() api.NodeStatus) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.calls = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "salvor_call_seconds", Help: "Time that answered calls took, by method and class of the error (ok: none).",
		Buckets: prometheus.ExponentialBuckets(0.0005, 4, 8),
	}, []string{"method", "class"})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "salvor_build_info", Help: "1; the label is the program's version.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.calls, build, statusCollector(status),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// observe counts an answered call.
func (m *metrics) observe(method string, took time.Duration, err error) {
	class := "ok"
	if err != nil {
		class = salvor.ClassOf(err).String()
	}
	m.calls.WithLabelValues(method, class).Observe(took.Seconds())
}

// statusCollector turns a node's status into metrics.
type statusCollector func() api.NodeStatus

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("salvor_"+name, help, labels, nil)
}

var (
	descReady    = desc("ready", "1 when the node is ready, as /readyz says.")
	descLeads    = desc("group_leader", "1 when this node leads the group.", "group")
	descTerm     = desc("group_term", "Raft term of the group.", "group")
	descApplied  = desc("group_applied_index", "Index of the last entry that is applied.", "group")
	descCommit   = desc("group_commit_index", "Index of the last entry known to be committed.", "group")
	descContact  = desc("group_leader_contact_seconds", "Time since the group's leader was heard of; 0 on the leader.", "group")
	descLog      = desc("group_log_bytes", "Bytes of the group's log since its newest snapshot.", "group")
	descVoters   = desc("group_voters", "Voters of the group as this node knows them.", "group")
	descRequests = desc("worker_requests_total", "Requests made since the worker began with the crawl.", "crawl")
	descCaptures = desc("worker_captures_total", "Captures written, the same.", "crawl")
	descBytes    = desc("worker_received_bytes_total", "Bytes received, the same.", "crawl")
	descErrors   = desc("worker_errors_total", "Requests without an answer, the same.", "crawl")
	descHeld     = desc("worker_held_captures", "Captures that wait for the Store.", "crawl")
	descSpooled  = desc("worker_spooled_bytes", "Bytes of segments that wait for the Store.", "crawl")
	descStalled  = desc("worker_stalled", "1 while nothing new is fetched for want of room.", "crawl")
)

// Describe implements prometheus.Collector.
func (statusCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descReady, descLeads, descTerm, descApplied, descCommit, descContact, descLog, descVoters,
		descRequests, descCaptures, descBytes, descErrors, descHeld, descSpooled, descStalled,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (status statusCollector) Collect(ch chan<- prometheus.Metric) {
	s := status()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	count := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(descReady, yes(s.Ready))
	for _, g := range s.Groups {
		n := strconv.Itoa(g.Group)
		gauge(descLeads, yes(g.State == "leader"), n)
		gauge(descTerm, float64(g.Term), n)
		gauge(descApplied, float64(g.Applied), n)
		gauge(descCommit, float64(g.Commit), n)
		gauge(descContact, max(float64(g.LastContact)/1000, 0), n)
		gauge(descLog, float64(g.LogBytes), n)
		gauge(descVoters, float64(len(g.Voters)), n)
	}
	for _, w := range s.Work {
		count(descRequests, w.Requests, w.Name)
		count(descCaptures, w.Captures, w.Name)
		count(descBytes, w.Bytes, w.Name)
		count(descErrors, w.Errors, w.Name)
		gauge(descHeld, float64(w.Held), w.Name)
		gauge(descSpooled, float64(w.Spooled), w.Name)
		gauge(descStalled, yes(w.Why != ""), w.Name)
	}
}

func yes(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
