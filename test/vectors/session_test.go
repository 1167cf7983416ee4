package vectors

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/test/rawws"
)

// sessionCase says what a session's transcript leaves out.
type sessionCase struct {
	app         string
	options     string // JSON, of the JS client's transcripts, which do not tell
	msgpack     bool
	attachments int                   // of wsd's server
	before      map[int]func(*replay) // what the server does before a frame or packet
	leaves      ending                // of the JS client's transcripts
	play        func(*replay, sessionTranscript)
}

// ending is how a JS client's connection ended, which its packets do not show.
type ending int

const (
	stays ending = iota
	clientLeaves
	serverCloses
)

// sessionCases holds the sessions that need more than their frames.
var sessionCases = map[string]sessionCase{
	"CONNECT /admin only (the main namespace is not required)":                              {app: "admin"},
	"CONNECT with a query string in the namespace name (EIO4: part of the name => unknown)": {app: "admin"},
	"middleware error":              {app: "refuse with 401"},
	"middleware error without data": {app: "refuse /admin"},
	"two namespaces on one connection, events, acks, DISCONNECT of one":                {app: "admin, count"},
	"server emits with ack; client acks; unknown and duplicate acks are ignored":       {app: "ask"},
	"server emit with timeout, no ack":                                                 {app: "ask for 100 ms"},
	"binary event both ways, binary ack":                                               {app: "b: concat"},
	"server socket.disconnect() (namespace only; connection stays open)":               {app: "disconnect the first"},
	"server socket.disconnect(true) with two namespaces: a DISCONNECT for each":        {app: "bye"},
	"emits inside the connection handler come after CONNECT":                           {app: "first"},
	"emits from a middleware are sent before CONNECT (the JS client buffers them)":     {app: "early"},
	"dynamic namespace (regex)":                                                        {app: "dynamic"},
	"undefined/NaN/Date arguments towards the client":                                  {app: "odd values"},
	"connection state recovery (in-memory adapter): pid, offset appended to events":    {play: recovered},
	"connection state recovery: DISCONNECT by the client or server is not recoverable": {before: map[int]func(*replay){2: emits("one")}},

	"JS client: websocket, emit, ack, binary, disconnect":           {app: "q: 3, x", leaves: clientLeaves},
	"JS client: polling then upgrade":                               {play: upgrading},
	"JS client: polling only, volatile and normal emit, disconnect": {play: polling(nil)},
	"JS client: server disconnect(true)":                            {before: map[int]func(*replay){2: kickAll}, leaves: serverCloses},
	"JS client: server disconnect(false)":                           {before: map[int]func(*replay){2: kickFromNamespace}, leaves: clientLeaves},
	"JS client: io.close() over websocket":                          {before: map[int]func(*replay){2: shutDown}, leaves: serverCloses},
	"JS client: io.close() over polling":                            {play: closedWhilePolling},
	"JS client: connect_error by middleware":                        {app: "refuse with 1", leaves: clientLeaves},
	"JS client: msgpack parser, polling (b + base64)":               {msgpack: true, play: polling(nil)},
	"JS client: msgpack parser, websocket": {app: "q: r, 1", msgpack: true, leaves: clientLeaves, before: map[int]func(*replay){
		5: emits("srv", undefined, bin{8}, map[string]string{"$date": "2025-11-23T06:40:00.123Z"}),
	}},
	"JS client: ping timeout seen by the client (server stops pinging)":               {options: `{"pingInterval":100,"pingTimeout":100}`, play: pongless},
	"JS client: recovery handshake payloads (auth, pid, offset)":                      {options: `{"connectionStateRecovery":{}}`, play: reconnecting},
	"JS client: 11 binary attachments towards the client (client-side decoder limit)": {attachments: 11, before: map[int]func(*replay){2: emitMany}, leaves: clientLeaves},
	"JS client (Node): cookie option on the server, withCredentials: false":           {options: cookieOption, play: cookies},
	"JS client (Node): cookie option on the server, withCredentials: true":            {options: cookieOption, play: cookies},
}

const cookieOption = `{"cookie":{"name":"io","httpOnly":true}}`

var undefined = map[string]bool{"$undefined": true}

func kickFromNamespace(r *replay) { r.srv.kick(r.T, false) }

func emits(args ...any) func(*replay) {
	return func(r *replay) { r.srv.emit(r.T, emission{Args: args}) }
}

func emitMany(r *replay) {
	args := []any{"many"}
	for i := range 11 {
		args = append(args, bin{byte(i)})
	}
	emits(args...)(r)
}

func TestSessions(t *testing.T) {
	for _, v := range loadSessions(t).Sessions {
		if notReplayed[v.Name] != "" {
			continue
		}
		c := sessionCases[v.Name]
		t.Run(v.Name, func(t *testing.T) {
			if c.options != "" {
				v.ServerOptions = []byte(c.options)
			}
			run(t, v.transcript, setup{style: "sessions", app: c.app, msgpack: c.msgpack, attachments: c.attachments}, func(r *replay) {
				r.ids.offsets = strings.Contains(v.Name, "recovery")
				v := v
				v.EnginePackets = r.deviation.packets(v.EnginePackets)
				if c.play != nil {
					c.play(r, v)
					return
				}
				frames := v.Frames
				if frames == nil {
					frames = framesOf(v.EnginePackets)
				}
				if r.deviation.frames != nil {
					frames = r.deviation.frames
				}
				frames = append(frames, endings[c.leaves]...)
				r.playFrames(r.openSession(), frames, shifted(r, c.before, 0))
			})
		})
	}
}

// packets applies the deviation to the server's packets.
func (d deviation) packets(all []enginePacket) []enginePacket {
	if d.replace == nil {
		return all
	}
	all = slices.Clone(all)
	for i, p := range all {
		if p.From == "server" {
			all[i].Data = map[string]any{"$bin": strings.NewReplacer(d.replace...).Replace(p.hex())}
		}
	}
	return all
}

// endings are the frames of an ending.
var endings = map[ending][]frame{
	clientLeaves: {
		{Dir: "send", Kind: "close"},
		{Dir: "recv", Kind: "close", Code: 1005},
		{Dir: "recv", Kind: "tcp-close"},
	},
	serverCloses: {
		{Dir: "recv", Kind: "close", Code: 1005},
		{Dir: "recv", Kind: "tcp-close"},
	},
}

// openSession opens a session on a WebSocket, up to the open packet.
func (r *replay) openSession() *socket {
	r.Helper()
	s := r.dialSocket(rawws.Request("localhost", "/socket.io/?EIO=4&transport=websocket"))
	r.play(s, frame{Dir: "recv", Kind: "http", Raw: switching})
	if e, err := s.ws.Next(); err != nil || !strings.HasPrefix(string(e.Payload), `0{"sid":"`) {
		r.Fatalf("%v, %v; want the open packet", e, err)
	}
	s.seen.Reset()
	return s
}

// framesOf are the frames that carry packets on a WebSocket.
func framesOf(packets []enginePacket) (frames []frame) {
	for _, p := range packets {
		f := frame{Dir: map[string]string{"client": "send", "server": "recv"}[p.From], Kind: "text"}
		if text, ok := p.Data.(string); ok {
			f.Data = "4" + text
		} else {
			f.Kind, f.Hex = "binary", p.hex()
		}
		frames = append(frames, f)
	}
	return frames
}

// element is the packet in a polling payload.
func (p enginePacket) element() string {
	if text, ok := p.Data.(string); ok {
		return "4" + text
	}
	return "b" + base64.StdEncoding.EncodeToString(mustHex(p.hex()))
}

func (p enginePacket) hex() string {
	object, _ := p.Data.(map[string]any)
	s, _ := object["$bin"].(string)
	return s
}

// recovered replays a connection that is lost and restored, with what was
// emitted meanwhile, and another whose offset is unknown.
func recovered(r *replay, v sessionTranscript) {
	sid := func() string { return r.liveID(v.Frames[1].Data) }
	s := r.openSession()
	last := len(v.Frames) - 1 // the client dropped the connection
	r.playFrames(s, v.Frames[:last], map[int]func(){
		2: func() { r.srv.emit(r.T, emission{Args: []any{"one", 1}}) },
		3: func() { r.srv.emit(r.T, emission{Socket: sid(), Args: []any{"direct"}}) },
		4: func() { r.srv.emit(r.T, emission{Volatile: true, Args: []any{"vol"}}) },
		5: func() { r.srv.emit(r.T, emission{Socket: sid(), Ack: true, Args: []any{"with-ack"}}) },
		6: func() {
			r.srv.join(r.T, sid(), "r")
			r.srv.emit(r.T, emission{Room: "r", Args: []any{"room", bin{1}}})
		},
	})
	s.Close()
	r.awaitSessions(0)
	for _, e := range []emission{
		{Room: "r", Args: []any{"missed1", "m"}},
		{Args: []any{"missed2"}},
		{Room: "other", Args: []any{"not for us"}},
		{Volatile: true, Args: []any{"missed volatile"}},
	} {
		r.srv.emit(r.T, e)
	}
	for _, frames := range [][]frame{v.ReconnectOk, v.ReconnectWithUnknownOffset} {
		s := r.openSession()
		r.playFrames(s, frames, nil)
		s.Close()
		r.awaitSessions(0)
	}
}

// liveID is the replay's id for the first in something of the transcript.
func (r *replay) liveID(s string) string {
	r.Helper()
	m := idPattern.FindStringSubmatch(s)
	if r.ids.live[m[1]] == "" {
		r.Fatalf("no id yet for %s", m[1])
	}
	return r.ids.live[m[1]]
}

// reconnecting is recovered as the JS client did it.
func reconnecting(r *replay, v sessionTranscript) {
	const lost = 3 // packets before the connection was
	frames := framesOf(v.EnginePackets)
	s := r.openSession()
	r.playFrames(s, frames[:lost], map[int]func(){2: func() { emits("x", 1)(r) }})
	s.Close()
	r.awaitSessions(0)
	emits("missed", 2)(r)
	r.playFrames(r.openSession(), frames[lost:], nil)
}

// pongless does not answer pings. The transcript's server did not send them, and
// waited for the answers all the same.
func pongless(r *replay, v sessionTranscript) {
	frames := append(framesOf(v.EnginePackets), frame{Dir: "recv", Kind: "text", Data: "2"})
	r.playFrames(r.openSession(), append(frames, endings[serverCloses]...), nil)
}

// poller is a session on the polling transport.
type poller struct {
	handshake, get string // requests; get has the replay's sid
	sid            string
}

func (r *replay) openPoller() poller {
	r.Helper()
	p := poller{handshake: "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n"}
	body := r.silently(p.handshake)
	m := idPattern.FindStringSubmatch(body)
	if m == nil {
		r.Fatalf("%q, want the open packet", body)
	}
	p.sid = m[1]
	p.get = strings.Replace(p.handshake, "polling", "polling&sid="+p.sid, 1)
	return p
}

// polling repeats a session on the polling transport. Packets that the client
// sent in a row are one payload; how the server splits its own is its business.
func polling(before map[int]func(*replay)) func(*replay, sessionTranscript) {
	return func(r *replay, v sessionTranscript) {
		r.poll(r.openPoller(), v.EnginePackets, before)
	}
}

func (r *replay) poll(p poller, packets []enginePacket, before map[int]func(*replay)) {
	r.Helper()
	var out, in []string
	for i, packet := range packets {
		if fn := before[i]; fn != nil {
			fn(r)
		}
		if packet.From == "client" {
			element, err := r.ids.replace(packet.element())
			if err != nil {
				r.Fatal(err)
			}
			out = append(out, element)
			if i+1 < len(packets) && packets[i+1].From == "client" {
				continue
			}
			r.silently(postRequest(p.get, strings.Join(out, "\x1e")))
			out = nil
			continue
		}
		for len(in) == 0 {
			in = strings.Split(r.silently(p.get), "\x1e")
		}
		if err := r.matchElement(packet, in[0]); err != nil {
			r.Fatalf("packet %d: %v", i, err)
		}
		in = in[1:]
	}
	if len(in) > 0 {
		r.Errorf("more packets: %q", in)
	}
}

// matchElement compares a packet of the transcript with one of a payload.
func (r *replay) matchElement(want enginePacket, got string) error {
	if want.hex() == "" {
		return r.ids.match([]byte(want.element()), []byte(got))
	}
	if !strings.HasPrefix(got, "b") {
		return fmt.Errorf("got %q, want binary", got)
	}
	b, err := base64.StdEncoding.DecodeString(got[1:])
	if err != nil {
		return err
	}
	return r.ids.match(mustHex(want.hex()), b)
}

// upgrading repeats a session that moves to a WebSocket.
func upgrading(r *replay, v sessionTranscript) {
	var at int
	for v.EnginePackets[at].Note == "" {
		at++
	}
	p := r.openPoller()
	r.poll(p, v.EnginePackets[:at], nil)
	s := r.probe(probing(p.sid))
	r.play(s, frame{Dir: "send", Kind: "text", Data: "5"})
	r.playFrames(s, framesOf(v.EnginePackets[at+1:]), nil)
}

// closedWhilePolling closes the server under a parked GET.
func closedWhilePolling(r *replay, v sessionTranscript) {
	p := r.openPoller()
	r.poll(p, v.EnginePackets, nil)
	get := r.park(p.get)
	r.srv.shutdown(r.T)
	if body := r.wait(get).body; string(body) != "1" {
		r.Errorf("%q, want a close packet", body)
	}
}

// cookies repeats the requests of a JS client as far as the server's cookies go.
func cookies(r *replay, v sessionTranscript) {
	var p poller
	for i, c := range v.Requests {
		var a answer
		switch {
		case !c.HasSid:
			p = poller{handshake: "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\nHost: localhost\r\n\r\n"}
			a = r.wait(r.start(p.handshake))
			p.sid = idPattern.FindStringSubmatch(string(a.body))[1]
			p.get = strings.Replace(p.handshake, "polling", "polling&sid="+p.sid, 1)
		case c.Transport == "websocket":
			s := r.dialSocket(r.withCookie(probing(p.sid)[0].Raw, c, p))
			var err error
			if a, err = readAnswer(s.reader, s.request); err != nil {
				r.Fatal(err)
			}
			r.play(s, frame{Dir: "send", Kind: "text", Data: "2probe"})
			r.play(s, frame{Dir: "recv", Kind: "text", Data: "3probe"})
		case c.Method == "POST":
			a = r.wait(r.start(r.withCookie(postRequest(p.get, "40"), c, p)))
		default:
			a = r.wait(r.start(r.withCookie(p.get, c, p)))
		}
		want := strings.ReplaceAll(c.SetCookie, "<sid>", p.sid)
		if got := strings.Join(a.header.Values("Set-Cookie"), "\n"); got != want {
			r.Errorf("request %d: Set-Cookie %q, want %q", i, got, want)
		}
	}
}

// withCookie adds the cookie that the client returned.
func (r *replay) withCookie(request string, c cookieRequest, p poller) string {
	if c.Cookie == "" {
		return request
	}
	field := "Cookie: " + strings.ReplaceAll(c.Cookie, "<sid>", p.sid) + "\r\n"
	return strings.Replace(request, "Host: localhost\r\n", "Host: localhost\r\n"+field, 1)
}
