package server

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"salvor"
	"salvor/cmd/salvor/internal/alert"
	"salvor/coordinator/pilot"
	"salvor/storage/durable"
)

// alertEvery is the distance of two looks for what needs a person.
const alertEvery = 5 * time.Second

// alerts is what the node that leads group 0 tells somebody.
type alerts struct {
	sender *alert.Sender

	mu   sync.Mutex
	open map[alert.Code]int
}

func (n *node) openAlerts(context.Context) error {
	if n.coord == nil {
		return nil
	}
	hook, err := readWebhook(n.c.AlertWebhook)
	if err != nil {
		return err
	}
	n.alerts = &alerts{sender: alert.NewSender(n.c.OnAlert, hook, n.log)}
	n.metrics.registry.MustRegister(&planCollector{n})
	return nil
}

// readWebhook reads the URL of a webhook, which may be a secret, from a file.
func readWebhook(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return "", durable.Error(err, "read", file)
	}
	text := strings.TrimSpace(string(b))
	if u, err := url.Parse(text); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "", salvor.Errorf(salvor.Invalid, "%s holds no http or https URL", file).WithHint("write the URL of the webhook into it, in one line")
	}
	return text, nil
}

// alertLoop looks for what needs a person while this node leads.
func (n *node) alertLoop(ctx context.Context) {
	client := n.httpClient()
	book, watch := &alert.Book{}, &alert.Watch{}
	tick := time.NewTicker(alertEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if !n.leads() {
			book, watch = &alert.Book{}, &alert.Watch{}
			n.alerts.note(nil)
			continue
		}
		for _, a := range book.Look(time.Now(), n.conditions(ctx, client, watch)) {
			n.alerts.sender.Tell(a)
		}
		n.alerts.note(book.Open())
	}
}

func (a *alerts) note(open map[alert.Code]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open = open
}

func (a *alerts) count() map[alert.Code]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open
}

func (n *node) conditions(ctx context.Context, client *http.Client, w *alert.Watch) []alert.Condition {
	ctx, cancel := context.WithTimeout(ctx, alertEvery)
	defer cancel()
	status := n.cluster(ctx, client, true)
	known, err := n.sites.All(ctx)
	if err != nil && ctx.Err() == nil {
		n.log.Info("what is known of sites cannot be read", "error", err)
	}
	v, ok := n.pilot.View()
	if !ok {
		return w.Conditions(time.Now(), &status, nil, known)
	}
	return w.Conditions(time.Now(), &status, &v, known)
}

// planCollector tells of the plan and of alerts, on the node that leads.
type planCollector struct{ n *node }

var (
	descAlerts   = desc("alerts", "What needs a person now, by kind; only of the node that plans.", "code")
	descForecast = desc("forecast_share", "Share of what is known of a crawl that will be saved by its end; the same.", "crawl")
	descKnown    = desc("crawl_known_urls", "URLs known of a crawl; the same.", "crawl")
	descSaved    = desc("crawl_saved_urls", "URLs saved of a crawl; the same.", "crawl")
	descLeft     = desc("crawl_deadline_seconds", "Time until the deadline of a crawl, negative after it; the same.", "crawl")
)

// Describe implements prometheus.Collector.
func (c *planCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descAlerts, descForecast, descKnown, descSaved, descLeft} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *planCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, label)
	}
	for code, n := range c.n.alerts.count() {
		gauge(descAlerts, float64(n), string(code))
	}
	v, ok := c.n.pilot.View()
	if !ok || !c.n.leads() {
		return
	}
	for _, f := range v.Forecasts {
		tellForecast(gauge, f)
	}
}

func tellForecast(gauge func(d *prometheus.Desc, v float64, label string), f pilot.Forecast) {
	gauge(descForecast, f.Share(), f.Name)
	gauge(descKnown, float64(f.Known), f.Name)
	gauge(descSaved, float64(f.Saved), f.Name)
	if f.Until > 0 {
		gauge(descLeft, time.Until(time.UnixMilli(f.Until)).Seconds(), f.Name)
	}
}
