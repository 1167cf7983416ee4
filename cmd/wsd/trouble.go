package main

import (
	"cmp"
	"slices"
	"strings"

	"github.com/fe4bcecb/wsd/cmd/wsd/metrics"
)

// What trouble is about.
const (
	troubleDropped = "dropped" // messages that did not reach a client
	troubleRefused = "refused" // clients, their namespaces and events
	troubleRequest = "request" // of Engine.IO, that was refused: a client's perhaps, which counts above too
	troubleLimited = "limited" // messages beyond a rate
	troubleClosed  = "closed"  // clients, by the server
	troubleCluster = "cluster" // what went wrong between servers
	troubleServer  = "server"  // what must not happen
)

// troubleMetrics are the counters of what was lost or refused, as /metrics has them.
var troubleMetrics = map[string]string{
	"wsd_messages_dropped_total":          troubleDropped,
	"wsd_recovery_unlogged_total":         troubleDropped,
	"wsd_connections_rejected_total":      troubleRefused,
	"wsd_http_refused_total":              troubleRefused,
	"wsd_sio_refused_total":               troubleRefused,
	"wsd_sio_requests_refused_total":      troubleRequest,
	"wsd_sio_posts_refused_total":         troubleRequest,
	"wsd_messages_rate_limited_total":     troubleLimited,
	"wsd_sio_closed_total":                troubleClosed,
	"wsd_tokens_expired_total":            troubleClosed,
	"wsd_connections_ended_by_user_total": troubleClosed,
	"wsd_revocation_lookups_failed_total": troubleCluster,
	"wsd_broker_send_errors_total":        troubleCluster,
	"wsd_broker_errors_total":             troubleCluster,
	"wsd_broker_gaps_total":               troubleCluster,
	"wsd_broker_lost_total":               troubleCluster,
	"wsd_sio_cluster_lost_total":          troubleCluster,
	"wsd_sio_cluster_gaps_total":          troubleCluster,
	"wsd_panics_total":                    troubleServer,
	"wsd_loop_hangs_total":                troubleServer,
	"wsd_accept_pauses_total":             troubleServer,
}

func isTrouble(metric string) bool { return troubleMetrics[metric] != "" }

// countTrouble makes the list of what has happened, the latest first, and notes the
// counts that the next one compares with.
func (x *sample) countTrouble(readings []metrics.Reading, before *sample, per func(now, before uint64) float64) []trouble {
	x.counts = map[string]uint64{}
	list := []trouble{}
	for _, r := range readings {
		if !isTrouble(r.Name) {
			continue
		}
		t := trouble{What: troubleMetrics[r.Name], Metric: r.Name, Reason: strings.Join(r.Labels, " "), Total: uint64(r.Value)}
		key := t.Metric + " " + t.Reason
		x.counts[key] = t.Total
		switch t.What {
		case troubleDropped:
			x.dropped += t.Total
		case troubleRefused:
			x.refused += t.Total
		}
		if t.Total == 0 {
			continue
		}
		if earlier, known := before.counts[key]; known {
			t.Rate = per(t.Total, earlier)
		}
		list = append(list, t)
	}
	slices.SortFunc(list, func(a, b trouble) int {
		return cmp.Or(cmp.Compare(b.Rate, a.Rate), cmp.Compare(b.Total, a.Total), cmp.Compare(a.Metric+a.Reason, b.Metric+b.Reason))
	})
	return list
}
