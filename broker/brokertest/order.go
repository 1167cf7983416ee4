package brokertest

import (
	"testing"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

// arrangement returns what came in the order in which it was sent, as far as that
// order is promised, and fails the test where that was broken.
type arrangement func(t *testing.T, got, sent []*cluster.Message) []*cluster.Message

// oneWay is for implementations that promise it for everything.
func oneWay(t *testing.T, got, sent []*cluster.Message) []*cluster.Message {
	t.Helper()
	if len(got) != len(sent) {
		t.Fatalf("%d messages came of %d", len(got), len(sent))
	}
	return got
}

// twoWays is for those whose requests have a way of their own.
func twoWays(t *testing.T, got, sent []*cluster.Message) []*cluster.Message {
	t.Helper()
	oneWay(t, got, sent)
	var requests, others []*cluster.Message
	before := map[*cluster.Message]int{} // others that came before a request
	for _, m := range got {
		if isRequest(m) {
			before[m] = len(others)
			requests = append(requests, m)
		} else {
			others = append(others, m)
		}
	}
	arranged := make([]*cluster.Message, 0, len(got))
	taken := 0 // of others
	for i, m := range sent {
		switch {
		case isRequest(m) && len(requests) > 0:
			if before[requests[0]] < taken {
				t.Fatalf("request %d came before what was published before it", i)
			}
			arranged, requests = append(arranged, requests[0]), requests[1:]
		case !isRequest(m) && taken < len(others):
			arranged = append(arranged, others[taken])
			taken++
		default:
			t.Fatalf("message %d, %v, did not come", i, m.Kind)
		}
	}
	return arranged
}

func isRequest(m *cluster.Message) bool {
	switch m.Kind {
	case cluster.FetchSockets, cluster.ServerSideEmit:
		return true
	}
	return m.RequestID != ""
}
