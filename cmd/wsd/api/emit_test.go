package api

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// telling is a cluster that tells of events what a test says.
type telling struct {
	broker.Cluster
	calls  int
	offset string
	err    error // told by done
	at     error // returned at once
}

type tellingNode struct {
	broker.ClusterNode
	with *telling
}

func (c *telling) Join(namespace string, r broker.ClusterReceiver) (broker.ClusterNode, error) {
	n, err := c.Cluster.Join(namespace, r)
	return tellingNode{n, c}, err
}

func (n tellingNode) PublishThen(_ *cluster.Message, done func(string, error)) error {
	n.with.calls++
	if n.with.at == nil {
		go done(n.with.offset, n.with.err)
	}
	return n.with.at
}

// An emit is answered by what the broker says, and one that failed is carried out again
// under its key.
func TestEmitIsConfirmed(t *testing.T) {
	c := &telling{Cluster: broker.NewMemoryCluster()}
	quiet := slog.New(slog.DiscardHandler)
	io := socketio.New(socketio.Options{Cluster: c, Logger: quiet})
	t.Cleanup(func() { _ = io.Close(t.Context()) })
	a := New(Options{IO: io, MaxBody: 1 << 20, KeepAnswers: time.Minute, Logger: quiet})
	mux := http.NewServeMux()
	a.Register(mux)
	emit := func(body string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodPost, "/v1/emit", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, req)
		return rec
	}
	const keyed = `{"event":"e","id":"k"}`
	for _, tt := range []struct {
		name     string
		at, err  error
		offset   string
		body     string
		status   int
		says     string
		replayed bool
		calls    int
	}{
		{"overflow", broker.ErrOverflow, nil, "", keyed, 503, "did not take the event", false, 1},
		{"away", nil, broker.ErrUnavailable, "", keyed, 503, "did not take the event", false, 1},
		{"refused", nil, errors.New("no space"), "", keyed, 503, "no space", false, 1},
		{"taken", nil, nil, "7-1", keyed, 200, `{"confirmed":true,"offset":"7-1"}`, false, 1},
		{"again", broker.ErrUnavailable, nil, "", keyed, 200, `{"confirmed":true,"offset":"7-1"}`, true, 0},
		{"no log", nil, nil, "", `{"event":"e"}`, 200, `{"confirmed":true}`, false, 1},
		{"local", broker.ErrUnavailable, nil, "", `{"event":"e","local":true}`, 200, `{"confirmed":true}`, false, 0},
	} {
		c.at, c.err, c.offset, c.calls = tt.at, tt.err, tt.offset, 0
		rec := emit(tt.body)
		if rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.says) || c.calls != tt.calls {
			t.Errorf("%s: %d %s after %d calls", tt.name, rec.Code, rec.Body, c.calls)
		}
		if replayed := rec.Header().Get("Idempotent-Replayed") == "true"; replayed != tt.replayed {
			t.Errorf("%s: replayed is %v", tt.name, replayed)
		}
	}
}
