package main

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/gobwas/ws"
)

// serveLogging is serve with its log, in which nothing that repeats is held back.
func serveLogging(t *testing.T, args ...string) (*running, *lockedBuffer) {
	t.Helper()
	c := parse(t, append([]string{"serve", "--listen", "127.0.0.1:0", "--loops", "1", "--drain-lb-wait", "0s", "--admin-listen", "127.0.0.1:0"}, args...)...)
	if err := c.Serve.check(); err != nil {
		t.Fatal(err)
	}
	log := new(lockedBuffer)
	cfg := c.Serve.config(&process{stdout: io.Discard, stderr: log})
	cfg.log = slog.New(slog.NewJSONHandler(log, nil))
	return startLogging(t, cfg), log
}

// metric reads one series, such as `x_total{reason="ip"}`.
func (r *running) metric(series string) float64 {
	r.t.Helper()
	value, ok := r.told(series)
	if !ok {
		r.t.Fatalf("no %s", series)
	}
	return value
}

func rejected(why reason) string {
	return `wsd_connections_rejected_total{reason="` + why.String() + `"}`
}

// attempt is one try to connect: its HTTP status, or the code and text of the Close
// frame behind a 101.
type attempt struct {
	path   string // in the log
	target string
	header http.Header
}

func (r *running) try(a attempt) (status int, closed ws.StatusCode) {
	r.t.Helper()
	if strings.Contains(a.target, "transport=polling") || strings.Contains(a.target, "transport=none") {
		resp, _ := r.fetch(http.MethodGet, a.target, a.header)
		return resp.StatusCode, 0
	}
	c, err := dial("ws://"+r.addr+a.target, a.header)
	if err != nil {
		return handshakeStatus(err), 0
	}
	r.t.Cleanup(func() { c.conn.Close() })
	c.t = r.t
	for {
		op, payload := c.frame()
		if op == ws.OpClose {
			code, _ := ws.ParseCloseFrameData(payload)
			return 101, code
		}
	}
}

// handshakeStatus is status where a variable has that name.
func handshakeStatus(err error) int { return status(err) }

// Every refusal has its answer, its metric and its log line, on every path.
func TestRefusals(t *testing.T) {
	stranger := http.Header{"Origin": {"https://elsewhere.example"}}
	tests := []struct {
		reason   reason
		args     []string
		first    bool // one client connects and stays
		attempts []attempt
		status   []int
		closed   ws.StatusCode
	}{
		{reasonOrigin, nil, false, []attempt{
			{"/echo", "/echo", stranger}, {"/topics", "/topics/a", stranger}, {"/pubsub", "/pubsub", stranger},
			{"/socket.io", sioSocket, stranger}, {"/socket.io", sioPolling, stranger},
		}, []int{403, 403, 403, 400, 403}, 0},
		{reasonRate, []string{"--handshakes-per-second", "0.0001"}, true, everyPath, []int{429, 429, 429, 429, 429}, 0},
		{reasonRate, []string{"--handshakes-per-second-per-ip", "0.0001"}, true, everyPath, []int{429, 429, 429, 429, 429}, 0},
		{reasonIP, []string{"--max-connections-per-ip", "1"}, true, everyPath, []int{429, 429, 429, 429, 429}, 0},
		{reasonCapacity, []string{"--max-connections", "1"}, true, everyPath, []int{101, 101, 101, 503, 503}, closePolicy},
		{reasonCapacity, []string{"--max-connections", "1", "--at-capacity", "http503"}, true, everyPath, []int{503, 503, 503, 503, 503}, 0},
		{reasonCapacity, []string{"--max-connections", "1", "--at-capacity", "close"}, true, everyPath, []int{101, 101, 101, 101, 503}, closePolicy},
		{reasonAuth, []string{"--jwt-secret", testSecret}, false, everyPath[:3], []int{401, 401, 401}, 0},
		{reasonBadRequest, nil, false, []attempt{
			{"", "/echo", http.Header{"Sec-WebSocket-Extensions": {"a;=b;"}, "Content-Length": {"1"}}}, {"/topics", "/topics/a?mode=x", nil}, {"/pubsub", "/pubsub", nil},
			{"/socket.io", "/socket.io/?EIO=3&transport=websocket", nil}, {"/socket.io", "/socket.io/?EIO=4&transport=none", nil},
		}, []int{400, 400, 400, 400, 400}, 0},
	}
	for _, tt := range tests {
		t.Run(strings.Join(append([]string{tt.reason.String()}, tt.args...), " "), func(t *testing.T) {
			r, log := serveLogging(t, tt.args...)
			if tt.first {
				c := r.dial("/echo", nil)
				c.send(ws.OpText, "in")
				c.expect(ws.OpText, "in")
			}
			for i, a := range tt.attempts {
				status, closed := r.try(a)
				if status != tt.status[i] || status == 101 && closed != tt.closed {
					t.Errorf("%s: status %d, close code %d; want %d, %d", a.target, status, closed, tt.status[i], tt.closed)
				}
				if n := r.metric(rejected(tt.reason)); n != float64(i+1) {
					t.Errorf("%s: %v refusals are counted, want %d", a.target, n, i+1)
				}
				lines := strings.Split(strings.TrimSpace(log.String()), "\n")
				last := lines[len(lines)-1]
				for _, want := range []string{`"reason":"` + tt.reason.String() + `"`, `"path":"` + a.path + `"`, `"remote":"127.0.0.1"`, `"level":"WARN"`} {
					if !strings.Contains(last, want) {
						t.Errorf("%s: no %s in the last line of the log: %s", a.target, want, last)
					}
				}
			}
		})
	}
}

var everyPath = []attempt{
	{"/echo", "/echo", nil}, {"/topics", "/topics/a", nil}, {"/pubsub", "/pubsub", http.Header{"Sec-Websocket-Protocol": {"wsd.json.v1"}}},
	{"/socket.io", sioSocket, nil}, {"/socket.io", sioPolling, nil},
}

// Socket.IO refuses for the account behind the open packet.
func TestSIORefusalForAuth(t *testing.T) {
	r, log := serveLogging(t, "--jwt-secret", testSecret)
	if _, answer := r.open(sioSocket, nil).enter("/", ""); !strings.HasPrefix(answer, "44") {
		t.Errorf("%s", answer)
	}
	if n := r.metric(rejected(reasonAuth)); n != 1 || !strings.Contains(log.String(), `"reason":"auth"`) {
		t.Errorf("%v are counted; log: %s", n, log)
	}
}

// Who is refused is told when to come back, in the form of the path.
func TestRefusalsSayWhenToComeBack(t *testing.T) {
	r := serve(t, "--handshakes-per-second", "0.0001")
	r.dial("/echo", nil)
	resp, body := r.fetch(http.MethodGet, sioPolling, nil)
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err != nil || n < 1 || n > 5 {
		t.Errorf("Retry-After: %q", resp.Header.Get("Retry-After"))
	}
	if body != `{"code":4,"message":"`+textRate+`"}` {
		t.Errorf("%s", body)
	}
}

// A refusal that only the engine sees is counted as well.
func TestRefusalsOfTheEngine(t *testing.T) {
	r, log := serveLogging(t)
	for i, cause := range []struct {
		cause engine.RefusalCause
		want  reason
	}{
		{engine.RefusedDecision, reasonAuth}, {engine.RefusedCapacity, reasonCapacity}, {engine.RefusedShutdown, reasonDraining},
		{engine.RefusedDescriptors, reasonFD},
	} {
		r.server.byEngine(engine.Refusal{Cause: cause.cause, Answer: 503, Text: "x"})
		if n := r.metric(rejected(cause.want)); n != 1 || strings.Count(log.String(), `"a client was refused`) != i+1 {
			t.Errorf("%v: %v are counted; log: %s", cause.want, n, log)
		}
	}
}

// Repeated refusals are one line in a while.
func TestRefusalsDoNotFloodTheLog(t *testing.T) {
	out := new(lockedBuffer)
	r := refusals{log: slog.New(newThinned(slog.NewJSONHandler(out, nil), time.Now))}
	for range 1000 {
		r.add(reasonIP, "/echo", "192.0.2.1", 429, "x")
	}
	if n := strings.Count(out.String(), "\n"); n != 1 || r.count[reasonIP].Load() != 1000 {
		t.Errorf("%d lines, %d counted", n, r.count[reasonIP].Load())
	}
}
