package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
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
	others *broker.Members
}

type tellingNode struct {
	broker.ClusterNode
	with *telling
}

func (c *telling) Join(namespace string, r broker.ClusterReceiver) (broker.ClusterNode, error) {
	n, err := c.Cluster.Join(namespace, r)
	return tellingNode{n, c}, err
}

func (n tellingNode) Publish(m *cluster.Message) error {
	if n.with.at != nil {
		return n.with.at
	}
	return n.ClusterNode.Publish(m)
}

// Members are what the test says, or not known before ctx's end.
func (n tellingNode) Members(ctx context.Context) (broker.Members, error) {
	if n.with.others == nil {
		<-ctx.Done()
		return broker.Members{}, ctx.Err()
	}
	return *n.with.others, n.with.err
}

func (n tellingNode) PublishThen(_ *cluster.Message, done func(string, error)) error {
	n.with.calls++
	if n.with.at == nil {
		go done(n.with.offset, n.with.err)
	}
	return n.with.at
}

// emitter is the API of a server, with what it answers to an emit.
func emitter(t *testing.T, opts socketio.Options) (emit func(body string) *httptest.ResponseRecorder) {
	t.Helper()
	opts.Logger = slog.New(slog.DiscardHandler)
	io := socketio.New(opts)
	t.Cleanup(func() { _ = io.Close(t.Context()) })
	a := New(Options{IO: io, MaxBody: 1 << 20, KeepAnswers: time.Minute, Logger: opts.Logger})
	mux := http.NewServeMux()
	a.Register(mux)
	return func(body string) *httptest.ResponseRecorder {
		req := httptest.NewRequest(http.MethodPost, "/v1/emit", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, req)
		return rec
	}
}

// With acknowledgements the answer says whether every server has the event, and nothing
// that is not known.
func TestEmitWithAckIsConfirmed(t *testing.T) {
	none, silent := &broker.Members{}, &broker.Members{Others: 1, UIDs: []string{"b"}}
	const quick, patient = `{"event":"e","ack":{"timeout":"20ms"}}`, `{"event":"e","ack":{"timeout":"30s"}}`
	for _, tt := range []struct {
		name    string
		at, err error
		others  *broker.Members
		body    string
		status  int
		says    string
	}{
		{"nobody else", nil, nil, none, patient, 200, `{"confirmed":true,"answers":[],"complete":true}`},
		{"one that is silent", nil, nil, silent, quick, 200, `{"answers":[],"complete":false}`},
		{"it is not known who there is", nil, nil, nil, quick, 200, `{"answers":[],"complete":false}`},
		{"not taken", broker.ErrUnavailable, nil, none, patient, 503, "whether clients have it is open"},
		{"no room", broker.ErrOverflow, nil, none, patient, 503, "whether clients have it is open"},
		{"others can't be counted", nil, broker.ErrUnavailable, none, patient, 503, "whether clients have it is open"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			emit := emitter(t, socketio.Options{Cluster: &telling{Cluster: broker.NewMemoryCluster(), at: tt.at, err: tt.err, others: tt.others}})
			if rec := emit(tt.body); rec.Code != tt.status || !strings.Contains(rec.Body.String(), tt.says) {
				t.Errorf("%d %s", rec.Code, rec.Body)
			}
		})
	}
}

// choosy is a presence that takes nothing for some servers.
type choosy struct {
	broker.Presence
	refused map[string]error
}

type choosyNode struct {
	broker.PresenceNode
	with choosy
}

func (p choosy) Join(server string, direct func(*cluster.Message)) (broker.PresenceNode, error) {
	n, err := p.Presence.Join(server, direct)
	return choosyNode{n, p}, err
}

func (n choosyNode) SendThen(server string, m *cluster.Message, done func(error)) error {
	if err := n.with.refused[server]; err != nil {
		if server == "b" {
			return err
		}
		go done(err)
		return nil
	}
	return n.PresenceNode.SendThen(server, m, done)
}

// An event for a user that the broker took for some servers only names the others.
func TestEmitToAUserInPart(t *testing.T) {
	p := choosy{broker.NewMemoryPresence(), map[string]error{}}
	emit := emitter(t, socketio.Options{Cluster: broker.NewMemoryCluster(), Presence: p, ServerID: "a"})
	got := make(chan string, 100)
	for _, server := range []string{"b", "c", "d"} {
		n, err := p.Join(server, func(*cluster.Message) { got <- server })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = n.Leave(context.Background()) })
		if err := n.Enter("u", server, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		refused map[string]error
		status  int
		servers []string
		message string
	}{
		{nil, 200, nil, ""},
		{map[string]error{"b": broker.ErrOverflow}, 503, []string{"b"}, "did not take the event"},
		{map[string]error{"b": broker.ErrOverflow, "c": broker.ErrUnavailable}, 503, []string{"b", "c"}, "did not take the event"},
		{map[string]error{"d": errors.New("no space")}, 503, []string{"d"}, "no space"},
	} {
		clear(p.refused)
		maps.Copy(p.refused, tt.refused)
		rec := emit(`{"event":"e","user":"u"}`)
		var told struct{ Error Error }
		if err := json.Unmarshal(rec.Body.Bytes(), &told); err != nil || rec.Code != tt.status ||
			!slices.Equal(told.Error.Servers, tt.servers) || !strings.Contains(told.Error.Message, tt.message) {
			t.Errorf("%v: %d %s", tt.refused, rec.Code, rec.Body)
		}
		for range 3 - len(tt.refused) { // the others have it
			if server := <-got; tt.refused[server] != nil {
				t.Errorf("%s has got it", server)
			}
		}
	}
}

// An emit is answered by what the broker says, and one that failed is carried out again
// under its key.
func TestEmitIsConfirmed(t *testing.T) {
	c := &telling{Cluster: broker.NewMemoryCluster()}
	emit := emitter(t, socketio.Options{Cluster: c})
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
