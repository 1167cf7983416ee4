package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// Reading is the value of one series of a counter or gauge.
type Reading struct {
	Name   string
	Labels []string // values, in the order of Def.Labels
	Value  float64
}

// Read takes a reading of the counters and gauges of which want is true, in the
// order in which they were registered, as a scrape does. Safe from any goroutine.
func (s *Set) Read(want func(name string) bool) (all []Reading) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, fn := range s.before {
		fn()
	}
	wanted := map[*prometheus.Desc]*metric{}
	samples := make(chan prometheus.Metric, 16)
	go func() {
		defer close(samples)
		for i := range s.metrics {
			if m := &s.metrics[i]; m.Kind != KindHistogram && want(m.Name) {
				wanted[m.desc] = m
				m.read(samples, m.desc)
			}
		}
	}()
	var list []prometheus.Metric
	for x := range samples {
		list = append(list, x)
	}
	for _, x := range list {
		all = append(all, wanted[x.Desc()].reading(x))
	}
	return all
}

// reading is what a sample of the metric says.
func (m *metric) reading(x prometheus.Metric) Reading {
	r := Reading{Name: m.Name, Labels: make([]string, len(m.Labels))}
	var d dto.Metric
	if x.Write(&d) != nil {
		return r // it was made of what can be written
	}
	r.Value = d.GetCounter().GetValue() + d.GetGauge().GetValue()
	for _, pair := range d.GetLabel() {
		for i, name := range m.Labels {
			if name == pair.GetName() {
				r.Labels[i] = pair.GetValue()
			}
		}
	}
	return r
}
