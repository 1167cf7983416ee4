package vectors

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/test/rawws"
)

// websocketCase says what a transcript of a WebSocket leaves out.
type websocketCase struct {
	app    string
	refuse *refusal
	before map[int]func(*replay) // what the server does before a frame
	play   func(*replay, []frame)
}

// websocketCases holds the transcripts that need more than their frames.
var websocketCases = map[string]websocketCase{
	"direct websocket: open, connect, event, client closes":                                               {app: "hi: ack"},
	"ws: another packet while waiting for pong extends the ping timeout once (engine.io >= 6.6.10)":       {play: extended},
	"ws: EIO=3 refused (note: after the 101!)":                                                            {play: rawly},
	"ws: forbidden by allowRequest":                                                                       {refuse: &refusal{"Unauthorized"}},
	"ws: b64=1 => binary as base64 text":                                                                  {app: "bin"},
	"ws: client sends base64 text packet instead of a binary frame":                                       {app: "bin: got"},
	"ws: server socket.disconnect(true)":                                                                  {before: map[int]func(*replay){5: kickAll}},
	"ws: io.close()":                                                                                      {before: map[int]func(*replay){5: shutDown}},
	"ws: perMessageDeflate:true negotiated; small message plain, message >= 1024 bytes compressed (rsv1)": {app: "small and big", play: deflated},
}

func kickAll(r *replay)  { r.srv.kick(r.T, true) }
func shutDown(r *replay) { r.srv.shutdown(r.T) }

func TestWebSocket(t *testing.T) {
	for _, v := range loadEngine(t).Websocket {
		c := websocketCases[v.Name]
		play := c.play
		if play == nil {
			play = func(r *replay, events []frame) {
				s := r.dialSocket(events[0].Raw)
				r.playFrames(s, events[1:], shifted(r, c.before, 1))
			}
		}
		t.Run(v.Name, func(t *testing.T) {
			run(t, v.transcript, setup{style: "transport", app: c.app, refuse: c.refuse}, func(r *replay) {
				switch d := r.deviation; {
				case d.steps != nil:
					r.do(d.steps[0])
				case d.frames != nil:
					r.playFrames(r.dialSocket(v.Events[0].Raw), d.frames, nil)
				default:
					play(r, v.Events)
				}
			})
		})
	}
}

// shifted binds what happens before frames to a replay; by is how many frames
// were played already.
func shifted(r *replay, before map[int]func(*replay), by int) map[int]func() {
	m := map[int]func(){}
	for i, fn := range before {
		m[i-by] = func() { fn(r) }
	}
	return m
}

// extended replays a packet that comes while a pong is due: the session lives
// for another pingTimeout from then. Its close must not come before that.
// The packet is sent a while after the ping, but must not be late for it.
func extended(r *replay, events []frame) {
	const (
		pause = 150 * time.Millisecond
		late  = 300 * time.Millisecond // of the 400 ms in the transcript's serverOptions
		extra = 400 * time.Millisecond
	)
	s := r.dialSocket(events[0].Raw)
	for _, f := range events[1:6] {
		r.play(s, f)
	}
	ping := time.Now()
	time.Sleep(pause)
	sent := time.Now()
	r.play(s, events[6])
	if time.Since(ping) > late {
		r.late = true
		return
	}
	r.play(s, events[7])
	r.play(s, events[8])
	if lived := time.Since(sent); lived < extra {
		r.Errorf("closed %v after a packet", lived)
	}
	r.play(s, events[9])
}

// rawly compares all bytes of the connection, which are not all frames.
func rawly(r *replay, events []frame) {
	var want []byte
	for _, f := range events[1:] {
		switch f.Kind {
		case "http":
			want = append(want, latin1(f.Raw)...)
		case "rawbytes":
			want = append(want, latin1(f.Text)...)
		case "tcp-close":
		default:
			want = append(want, f.unmasked()...)
		}
	}
	s := r.dialSocket(events[0].Raw)
	got, err := io.ReadAll(s.reader)
	if ended(err) != nil && err != nil {
		r.Fatal(err)
	}
	s.Close()
	if err := r.ids.match(want, got); err != nil {
		r.Error(err)
	}
}

// deflated compares messages instead of frames: compressors differ, and a server
// may choose what it compresses, and by which parameters.
func deflated(r *replay, events []frame) {
	const big = 3 // index of a message that any server compresses
	want := r.inflated(events)
	s := r.dialSocket(events[0].Raw)
	if err := s.ws.ReadUpgrade(deflate); err != nil {
		r.Fatal(err)
	}
	for i, w := range want {
		e, err := s.ws.Next()
		if err != nil {
			r.Fatal(err)
		}
		if err := r.ids.match(w, e.Payload); err != nil {
			r.Fatalf("message %d: %v", i, err)
		}
		if i == big && !e.Compressed {
			r.Errorf("message %d of %d bytes is not compressed", i, len(w))
		}
		if i == 0 {
			r.send(s, frame{Kind: "text", Data: "40"})
		}
	}
	if err := s.ws.Send(rawws.Frame{Fin: true, Op: rawws.Ping}.Bytes()); err != nil {
		r.Fatal(err)
	}
	if e, err := s.ws.Next(); err != nil || e.Kind != rawws.PongFrame {
		r.Fatalf("%v, %v; want a pong", e, err)
	}
}

// deflate is what the transcript's client offered.
const deflate = "permessage-deflate; client_max_window_bits"

// inflated is the messages of a transcript's server.
func (r *replay) inflated(events []frame) (messages [][]byte) {
	var sent bytes.Buffer
	sent.Write(latin1(events[1].Raw))
	for _, f := range events[2:] {
		if f.Dir == "recv" {
			sent.Write(mustHex(f.FrameHex))
			messages = append(messages, nil)
		}
	}
	conn, _ := net.Pipe()
	ws := rawws.New(wire{conn, &sent})
	if err := ws.ReadUpgrade(deflate); err != nil {
		r.Fatal("transcript:", err)
	}
	for i := range messages {
		e, err := ws.Next()
		if err != nil {
			r.Fatal("transcript:", err)
		}
		messages[i] = e.Payload
	}
	return messages
}
