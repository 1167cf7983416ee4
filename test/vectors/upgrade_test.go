package vectors

import (
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/test/rawws"
)

// upgradeCase is how a timeline is repeated. Its steps are taken by their labels;
// get is a GET within the session that the first step opened.
type upgradeCase struct {
	app  string
	play func(r *replay, at func(label string) step, get string)
}

var upgradeCases = map[string]upgradeCase{
	"normal upgrade (GET parked)": {"hi: yo", func(r *replay, at func(string) step, get string) {
		r.connect(get)
		parked := r.park(get)
		events := at("full ws event log").Events
		s := r.probe(events)
		r.finish(parked, at("parked GET answered with noop"))
		r.do(at("a further GET during the upgrade is also answered (noop within 100 ms)"))
		r.srv.emit(r.T, emission{Args: []any{"queued-before-5"}})
		r.playFrames(s, events[4:], nil)
		r.do(at("GET after upgrade"))
		second := at("second websocket for an already upgraded sid").Events
		r.playFrames(r.dialSocket(second[0].Raw), second[1:], nil)
		s.Close()
	}},
	"emit during the upgrade while a GET is parked goes over polling": {"", func(r *replay, at func(string) step, get string) {
		r.connect(get)
		events := at("ws log").Events
		s := r.probe(events)
		poll := r.start(get)
		r.srv.emit(r.T, emission{Args: []any{"during"}})
		for string(r.wait(poll).body) == "6" { // the noop was faster
			poll = r.start(get)
		}
		r.finish(poll, at("GET"))
		r.playFrames(s, events[4:], map[int]func(){1: func() {
			r.quiet(s) // 5 has arrived
			r.srv.emit(r.T, emission{Args: []any{"after"}})
		}})
		s.Close()
	}},
	"upgrade never completed => upgradeTimeout closes only the probe socket": {"", func(r *replay, at func(string) step, get string) {
		events := at("ws log").Events
		r.playFrames(r.dialSocket(events[0].Raw), events[1:], nil)
		r.do(at("polling still works"))
	}},
	"a second concurrent upgrade attempt": {"", func(r *replay, at func(string) step, get string) {
		first, second := at("first ws still probing").Events, at("second ws").Events
		s := r.dialSocket(first[0].Raw)
		r.play(s, first[1])
		r.playFrames(r.dialSocket(second[0].Raw), second[1:], nil)
		r.playFrames(s, first[2:], nil)
	}},
	"first packet on the probe socket is not 2probe": {"", func(r *replay, at func(string) step, get string) {
		events := at("ws").Events
		r.playFrames(r.dialSocket(events[0].Raw), events[1:], nil)
		r.do(at("polling still works"))
	}},
	"'5' without a previous probe is accepted": {"", func(r *replay, at func(string) step, get string) {
		events := at("ws").Events
		s := r.dialSocket(events[0].Raw)
		r.playFrames(s, events[1:], nil)
		s.Close()
	}},
	"probe socket dropped by the client": {"", func(r *replay, at func(string) step, get string) {
		again := at("a new upgrade attempt is possible").Events
		r.probe(again).Close()
		r.do(at("polling still works"))
		r.probeAgain(again)
	}},
	"POST and GET in flight when '5' arrives": {"", func(r *replay, at func(string) step, get string) {
		r.connect(get)
		inFlight := at("GET parked at the moment of '5'")
		m := idPattern.FindStringSubmatch(at("handshake").Response)
		s := r.probe(probing(m[1]))
		if d := r.deviation.steps; d != nil {
			r.do(d[0])
			r.play(s, frame{Dir: "send", Kind: "text", Data: "5"})
			r.quiet(s)
			s.Close()
			return
		}
		// Node answers a GET with a noop every 100 ms; right after one, the
		// next is left alone for a while.
		r.silently(get)
		parked := r.start(get)
		r.awaitParked(parked)
		r.play(s, frame{Dir: "send", Kind: "text", Data: "5"})
		if r.late = string(r.wait(parked).body) == "6"; r.late {
			return
		}
		r.finish(parked, inFlight)
		s.Close()
	}},
}

func TestUpgrade(t *testing.T) {
	for _, v := range loadEngine(t).Upgrade {
		c := upgradeCases[v.Name]
		t.Run(v.Name, func(t *testing.T) {
			run(t, v.transcript, setup{style: "transport", app: c.app}, func(r *replay) {
				r.do(v.Timeline[0])
				c.play(r, func(label string) step {
					for _, s := range v.Timeline {
						if s.Label == label {
							return s
						}
					}
					r.Fatalf("transcript: no %q", label)
					return step{}
				}, sessionRequest("GET", v.Timeline[0], ""))
			})
		})
	}
}

// probe opens a WebSocket for a session and probes it: the first four of events.
func (r *replay) probe(events []frame) *socket {
	r.Helper()
	s := r.dialSocket(events[0].Raw)
	for _, f := range events[1:4] {
		r.play(s, f)
	}
	return s
}

// probeAgain is probe after another that the server may not know to be over: as
// long as it does not, it closes the new one.
func (r *replay) probeAgain(events []frame) {
	r.Helper()
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		s := r.dialSocket(events[0].Raw)
		r.play(s, events[1])
		r.play(s, events[2])
		a, err := s.next()
		if err != nil {
			r.Fatal(err)
		}
		s.ahead = []arrival{a}
		if a.Kind != rawws.CloseFrame {
			r.play(s, events[3])
			return
		}
		s.Close()
	}
	r.Fatal("no new upgrade")
}

// probing is the first four events of an upgrade, for the transcript's sid.
func probing(sid string) []frame {
	return []frame{
		{Dir: "send", Kind: "http", Raw: rawws.Request("localhost", "/socket.io/?EIO=4&transport=websocket&sid="+sid)},
		{Dir: "recv", Kind: "http", Raw: switching},
		{Dir: "send", Kind: "text", Data: "2probe"},
		{Dir: "recv", Kind: "text", Data: "3probe"},
	}
}

// switching is the answer to rawws.Request.
const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
