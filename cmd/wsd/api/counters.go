package api

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
)

// bounds are those of the histogram of durations, in seconds.
var bounds = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 60}

// counters are what requests have come to.
type counters struct {
	replays atomic.Uint64
	byRoute []*counter
}

// counter is of one route.
type counter struct {
	route   string
	buckets [16]atomic.Uint64 // by bounds, and beyond
	nanos   atomic.Int64

	mu       sync.Mutex
	byStatus map[int]uint64 // mu; statuses are this package's
}

func (a *API) counter(route string) *counter {
	c := &counter{route: route, byStatus: map[int]uint64{}}
	a.byRoute = append(a.byRoute, c)
	return c
}

func (c *counter) observe(status int, d time.Duration) {
	at, _ := slices.BinarySearch(bounds, d.Seconds())
	c.buckets[at].Add(1)
	c.nanos.Add(int64(d))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.byStatus[status]++
}

func (c *counter) statuses() map[int]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.byStatus)
}

// Count registers what is counted. Call behind Register.
func (a *API) Count(set *metrics.Set) {
	set.CounterVec("wsd_api_requests_total", "Requests of the HTTP API, by route and status.", []string{"route", "code"}, func(emit metrics.Emit) {
		for _, c := range a.byRoute {
			for status, n := range c.statuses() {
				emit(float64(n), c.route, strconv.Itoa(status))
			}
		}
	})
	set.HistogramVec("wsd_api_request_duration_seconds", "How long requests of the HTTP API took.", []string{"route"}, func(emit metrics.EmitHistogram) {
		for _, c := range a.byRoute {
			buckets, count := map[float64]uint64{}, uint64(0)
			for i := range c.buckets {
				count += c.buckets[i].Load()
				if i < len(bounds) {
					buckets[bounds[i]] = count
				}
			}
			emit(count, time.Duration(c.nanos.Load()).Seconds(), buckets, c.route)
		}
	})
	set.Counter("wsd_api_replays_total", "Requests of the HTTP API that got the answer of an earlier one with their idempotency key.",
		func() float64 { return float64(a.replays.Load()) })
}
