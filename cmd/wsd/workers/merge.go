package workers

import (
	"math"
	"slices"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// largest and smallest are the gauges of which the sum over all workers means nothing.
// A name that ends in a star stands for what begins so.
var (
	largest = []string{
		"wsd_broker_last_lag_seconds", "wsd_cluster_nodes", "wsd_draining", "wsd_insecure_switches", "wsd_memory_short", "wsd_namespaces", "wsd_ready", "wsd_recovery_limit_seconds", "wsd_stats_stale",
		"go_gc_gogc_percent", "go_gc_gomemlimit_bytes", "process_max_fds", "process_virtual_memory_max_bytes",
	}
	smallest = []string{
		"wsd_broker_up", "wsd_cluster_survey_timestamp_seconds", "wsd_config_last_reload_successful", "wsd_config_last_reload_success_timestamp_seconds", "process_start_time_seconds", "wsd_stream_window_seconds",
	}
)

// combine is how values of a gauge of two workers become one.
func combine(name string) func(a, b float64) float64 {
	switch {
	case slices.Contains(largest, name), strings.HasSuffix(name, "_info"), strings.HasSuffix(name, "_ratio"):
		return ofKnown(math.Max)
	case slices.Contains(smallest, name):
		return ofKnown(math.Min)
	}
	return func(a, b float64) float64 { return a + b }
}

// ofKnown leaves out NaN, which stands for what a worker does not know, unless none does.
func ofKnown(choose func(a, b float64) float64) func(a, b float64) float64 {
	return func(a, b float64) float64 {
		switch {
		case math.IsNaN(a):
			return b
		case math.IsNaN(b):
			return a
		}
		return choose(a, b)
	}
}

// loopLabel is the label with the number of a loop: those of different workers are
// different loops.
const loopLabel = "loop"

// merger adds the metrics of processes up. A worker that has died keeps what it has
// counted, as far as it was read: counters of the whole never fall. One goroutine at a
// time may use it.
type merger struct {
	last map[int]life // by worker
	dead families     // counters of those that have ended
}

// life is what a worker's process has told last.
type life struct {
	pid      int
	families []*dto.MetricFamily
}

// add takes what the workers tell now, by their numbers; ofPID are their processes,
// own are the parent's metrics. The families are the merger's from then on.
func (m *merger) add(now map[int][]*dto.MetricFamily, ofPID map[int]int, own []*dto.MetricFamily) []*dto.MetricFamily {
	if m.last == nil {
		m.last, m.dead = map[int]life{}, families{}
	}
	for worker, before := range m.last {
		if ofPID[worker] != before.pid {
			for _, f := range before.families {
				if f.GetType() != dto.MetricType_GAUGE {
					m.dead.add(f)
				}
			}
			delete(m.last, worker)
		}
	}
	for worker, all := range now {
		for _, f := range all {
			ofLoops(f, worker)
		}
		m.last[worker] = life{ofPID[worker], all}
	}
	sum := families{}
	for _, f := range m.dead {
		sum.add(f.family)
	}
	for _, worker := range sorted(m.last) {
		// One that does not answer now has told these before.
		for _, f := range m.last[worker].families {
			sum.add(f)
		}
	}
	for _, f := range own {
		sum.add(f)
	}
	return sum.list()
}

func sorted(m map[int]life) []int {
	var all []int
	for k := range m {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// ofLoops makes the labels of loops name their worker, too.
func ofLoops(f *dto.MetricFamily, worker int) {
	for _, x := range f.Metric {
		for _, l := range x.Label {
			if l.GetName() == loopLabel {
				value := strconv.Itoa(worker) + "/" + l.GetValue()
				l.Value = &value
			}
		}
	}
}

// families are metrics by name, and by label values.
type families map[string]*summed

type summed struct {
	family *dto.MetricFamily
	at     map[string]*dto.Metric
}

// add adds a copy of f.
func (fs families) add(f *dto.MetricFamily) {
	into := fs[f.GetName()]
	if into == nil {
		into = &summed{&dto.MetricFamily{Name: f.Name, Help: f.Help, Type: f.Type, Unit: f.Unit}, map[string]*dto.Metric{}}
		fs[f.GetName()] = into
	}
	if into.family.GetType() != f.GetType() {
		return // not of the same program
	}
	gauge := combine(f.GetName())
	for _, x := range f.Metric {
		key := labelsOf(x)
		sum := into.at[key]
		if sum == nil {
			sum = clone(x)
			into.at[key] = sum
			into.family.Metric = append(into.family.Metric, sum)
			continue
		}
		addMetric(sum, x, gauge)
	}
}

func labelsOf(x *dto.Metric) string {
	var b strings.Builder
	for _, l := range x.Label { // in order of their names, as the client writes them
		b.WriteString(strconv.Quote(l.GetName()) + strconv.Quote(l.GetValue()))
	}
	return b.String()
}

// clone copies what add changes.
func clone(x *dto.Metric) *dto.Metric {
	y := &dto.Metric{Label: x.Label}
	switch {
	case x.Counter != nil:
		y.Counter = &dto.Counter{Value: ptr(x.Counter.GetValue())}
	case x.Gauge != nil:
		y.Gauge = &dto.Gauge{Value: ptr(x.Gauge.GetValue())}
	case x.Untyped != nil:
		y.Untyped = &dto.Untyped{Value: ptr(x.Untyped.GetValue())}
	case x.Histogram != nil:
		y.Histogram = &dto.Histogram{SampleCount: ptr(x.Histogram.GetSampleCount()), SampleSum: ptr(x.Histogram.GetSampleSum())}
		for _, b := range x.Histogram.Bucket {
			y.Histogram.Bucket = append(y.Histogram.Bucket, &dto.Bucket{UpperBound: b.UpperBound, CumulativeCount: ptr(b.GetCumulativeCount())})
		}
	case x.Summary != nil:
		y.Summary = &dto.Summary{SampleCount: ptr(x.Summary.GetSampleCount()), SampleSum: ptr(x.Summary.GetSampleSum())}
		for _, q := range x.Summary.Quantile {
			y.Summary.Quantile = append(y.Summary.Quantile, &dto.Quantile{Quantile: q.Quantile, Value: ptr(q.GetValue())})
		}
	}
	return y
}

func ptr[T any](v T) *T { return &v }

// addMetric adds x to sum, which is of the same type.
func addMetric(sum, x *dto.Metric, gauge func(a, b float64) float64) {
	switch {
	case sum.Counter != nil && x.Counter != nil:
		*sum.Counter.Value += x.Counter.GetValue()
	case sum.Gauge != nil && x.Gauge != nil:
		*sum.Gauge.Value = gauge(*sum.Gauge.Value, x.Gauge.GetValue())
	case sum.Untyped != nil && x.Untyped != nil:
		*sum.Untyped.Value += x.Untyped.GetValue()
	case sum.Histogram != nil && x.Histogram != nil:
		addHistogram(sum.Histogram, x.Histogram)
	case sum.Summary != nil && x.Summary != nil:
		*sum.Summary.SampleCount += x.Summary.GetSampleCount()
		*sum.Summary.SampleSum += x.Summary.GetSampleSum()
		// Quantiles can't be added up: the worst is told.
		for i, q := range sum.Summary.Quantile {
			if i < len(x.Summary.Quantile) {
				*q.Value = math.Max(*q.Value, x.Summary.Quantile[i].GetValue())
			}
		}
	}
}

// addHistogram adds histograms whose buckets have the same bounds, as those of one
// program do.
func addHistogram(sum, x *dto.Histogram) {
	*sum.SampleCount += x.GetSampleCount()
	*sum.SampleSum += x.GetSampleSum()
	for _, b := range sum.Bucket {
		for _, other := range x.Bucket {
			if other.GetUpperBound() == b.GetUpperBound() {
				*b.CumulativeCount += other.GetCumulativeCount()
			}
		}
	}
}

// list is what promhttp wants: by name, and by labels.
func (fs families) list() []*dto.MetricFamily {
	var all []*dto.MetricFamily
	for _, s := range fs {
		slices.SortFunc(s.family.Metric, func(a, b *dto.Metric) int { return strings.Compare(labelsOf(a), labelsOf(b)) })
		all = append(all, s.family)
	}
	slices.SortFunc(all, func(a, b *dto.MetricFamily) int { return strings.Compare(a.GetName(), b.GetName()) })
	return all
}
