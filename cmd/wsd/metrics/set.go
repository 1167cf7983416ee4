// Package metrics renders what the daemon counts for Prometheus. Rooms keep plain
// counters of their own and register here functions that read them; they are called
// at each scrape.
package metrics

import (
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxScrapes bounds the scrapes that may wait for each other; one more gets 503.
const maxScrapes = 8

// Kind is a metric's type.
type Kind string

// The kinds of metric.
const (
	KindGauge     Kind = "gauge"
	KindCounter   Kind = "counter"
	KindHistogram Kind = "histogram"
)

// Def describes a metric. Labels have values from small fixed sets: never a room,
// a user, an address or an event.
type Def struct {
	Name, Help string
	Kind       Kind
	Labels     []string
}

// Emit takes a value for label values, which stand in the order of Def.Labels.
type Emit func(value float64, labels ...string)

// EmitHistogram is Emit for a histogram: count, sum, and for each upper bound the
// number of observations that are not above it, cumulatively.
type EmitHistogram func(count uint64, sum float64, buckets map[float64]uint64, labels ...string)

// Set is a list of metrics. The zero value is an empty one. Register first, then
// scrape; the latter is safe from any goroutine.
type Set struct {
	mu      sync.Mutex
	before  []func()
	metrics []metric
}

type metric struct {
	Def
	desc *prometheus.Desc
	read func(chan<- prometheus.Metric, *prometheus.Desc)
}

// BeforeScrape has fn called at the beginning of each scrape: it takes the snapshot
// from which the functions of several metrics read. Scrapes come one at a time.
func (s *Set) BeforeScrape(fn func()) { s.before = append(s.before, fn) }

// Gauge registers a value that goes up and down.
func (s *Set) Gauge(name, help string, read func() float64) {
	s.GaugeVec(name, help, nil, func(emit Emit) { emit(read()) })
}

// Counter registers a value that only grows; its name ends in _total.
func (s *Set) Counter(name, help string, read func() float64) {
	s.CounterVec(name, help, nil, func(emit Emit) { emit(read()) })
}

// GaugeVec is Gauge with labels.
func (s *Set) GaugeVec(name, help string, labels []string, read func(Emit)) {
	s.values(Def{name, help, KindGauge, labels}, prometheus.GaugeValue, read)
}

// CounterVec is Counter with labels.
func (s *Set) CounterVec(name, help string, labels []string, read func(Emit)) {
	s.values(Def{name, help, KindCounter, labels}, prometheus.CounterValue, read)
}

// HistogramVec registers a histogram, with labels or nil.
func (s *Set) HistogramVec(name, help string, labels []string, read func(EmitHistogram)) {
	s.add(Def{name, help, KindHistogram, labels}, func(to chan<- prometheus.Metric, desc *prometheus.Desc) {
		read(func(count uint64, sum float64, buckets map[float64]uint64, labels ...string) {
			to <- prometheus.MustNewConstHistogram(desc, count, sum, buckets, labels...)
		})
	})
}

func (s *Set) values(d Def, kind prometheus.ValueType, read func(Emit)) {
	s.add(d, func(to chan<- prometheus.Metric, desc *prometheus.Desc) {
		read(func(value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
		})
	})
}

func (s *Set) add(d Def, read func(chan<- prometheus.Metric, *prometheus.Desc)) {
	s.metrics = append(s.metrics, metric{d, prometheus.NewDesc(d.Name, d.Help, d.Labels, nil), read})
}

// Defs lists the metrics by name.
func (s *Set) Defs() []Def {
	var all []Def
	for _, m := range s.metrics {
		all = append(all, m.Def)
	}
	slices.SortFunc(all, func(a, b Def) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Describe implements prometheus.Collector.
func (s *Set) Describe(to chan<- *prometheus.Desc) {
	for _, m := range s.metrics {
		to <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (s *Set) Collect(to chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fn := range s.before {
		fn()
	}
	for _, m := range s.metrics {
		m.read(to, m.desc)
	}
}

// Handler serves the metrics, those of the Go runtime and of the process as well,
// in the formats of Prometheus and OpenMetrics. All must be registered when the
// first request comes.
func (s *Set) Handler() http.Handler {
	open := sync.OnceValue(func() http.Handler {
		return promhttp.HandlerFor(s.Registry(), promhttp.HandlerOpts{EnableOpenMetrics: true, MaxRequestsInFlight: maxScrapes})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { open().ServeHTTP(w, r) })
}

// Registry has the metrics, those of the Go runtime and of the process as well. All
// must be registered before.
func (s *Set) Registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(s, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return r
}
