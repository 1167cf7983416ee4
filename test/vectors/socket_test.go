package vectors

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/fe4bcecb/wsd/test/rawws"
)

// socket is the client's side of a WebSocket connection.
type socket struct {
	net.Conn
	request string
	reader  *bufio.Reader
	ws      *rawws.Conn  // reads and checks frames
	seen    bytes.Buffer // what ws has read, and next has not returned
	ahead   []arrival    // read while waiting for a pong
}

// arrival is an event of ws with the bytes of its frame.
type arrival struct {
	rawws.Event
	first   byte // FIN, reserved bits and opcode
	payload []byte
}

// wire is a connection whose bytes come from a reader.
type wire struct {
	net.Conn
	io.Reader
}

func (w wire) Read(b []byte) (int, error) { return w.Reader.Read(b) }

// dialSocket sends an upgrade request of the transcript.
func (r *replay) dialSocket(request string) *socket {
	r.Helper()
	request, err := r.ids.replace(request)
	if err != nil {
		r.Fatal(err)
	}
	conn := r.dial()
	s := &socket{Conn: conn, request: request, reader: bufio.NewReader(conn)}
	if _, err := conn.Write([]byte(request)); err != nil {
		r.Fatal(err)
	}
	s.ws = rawws.New(wire{conn, io.TeeReader(s.reader, &s.seen)})
	s.ws.Patience = timeout
	return s
}

// playFrames repeats the frames of a connection, and does before what the map
// has for a frame's index. At the end, nothing else may come.
//
// What the client sends in a row reaches the server one by one, as in the
// transcripts, whose client paused in between.
func (r *replay) playFrames(s *socket, frames []frame, before map[int]func()) {
	r.Helper()
	for i, f := range frames {
		if fn := before[i]; fn != nil {
			fn()
		}
		r.play(s, f)
		if i+1 < len(frames) && f.Dir == "send" && frames[i+1].Dir == "send" {
			r.settle(s)
		}
	}
	if !ends(frames) {
		r.quiet(s)
	}
}

// ends says whether the server ended the connection.
func ends(frames []frame) bool {
	return slices.ContainsFunc(frames, func(f frame) bool { return f.Kind == "tcp-close" })
}

// play repeats one event.
func (r *replay) play(s *socket, f frame) {
	r.Helper()
	switch {
	case f.Dir == "measure":
	case f.Dir == "send":
		r.send(s, f)
	case f.Kind == "tcp-close":
		r.ended(s)
	case f.Kind == "http":
		r.answer(s, f)
	default:
		r.receive(s, f)
	}
}

func (r *replay) send(s *socket, f frame) {
	r.Helper()
	payload, err := r.ids.replace(string(f.payload()))
	if err != nil {
		r.Fatal(err)
	}
	b := rawws.Frame{Fin: true, Op: f.op(), Payload: []byte(payload)}.Bytes()
	if f.FrameHex != "" && payload == string(f.payload()) && !bytes.Equal(b, mustHex(f.FrameHex)) {
		r.Fatalf("transcript: frame %s is not %x", f.FrameHex, b)
	}
	if err := s.ws.Send(b); err != nil {
		r.Fatal(err)
	}
}

// answer compares the answer to the upgrade request.
func (r *replay) answer(s *socket, f frame) {
	r.Helper()
	want, err := readAnswer(bufio.NewReader(bytes.NewReader(latin1(f.Raw))), s.request)
	if err != nil {
		r.Fatal("transcript:", err)
	}
	got, err := readAnswer(s.reader, s.request)
	if err != nil {
		r.Fatal(err)
	}
	if err := compareAnswers(r.ids, want, got); err != nil {
		r.Fatal(err)
	}
	if err := r.ids.match(want.body, got.body); err != nil {
		r.Fatalf("body: %v", err)
	}
}

// receive compares one frame of the server with the transcript's: rawws has
// checked the form of its length, the rest is compared byte by byte. A Close
// frame is answered with its like.
func (r *replay) receive(s *socket, f frame) {
	r.Helper()
	first, want := cut(f.unmasked())
	got, err := s.next()
	if err != nil {
		r.Fatalf("%v\nwant %s", err, shown(want))
	}
	if got.first != first {
		r.Fatalf("%v: frame begins with %#x, want %#x", got, got.first, first)
	}
	if err := r.ids.match(want, got.payload); err != nil {
		r.Fatalf("%v: %v", got, err)
	}
	if got.Kind == rawws.CloseFrame {
		// The server may have ended the connection, which ended finds out.
		_ = s.ws.Send(rawws.Frame{Fin: true, Op: rawws.Close, Payload: f.payload()}.Bytes())
	}
}

// next is what the server sent next.
func (s *socket) next() (arrival, error) {
	if len(s.ahead) > 0 {
		a := s.ahead[0]
		s.ahead = s.ahead[1:]
		return a, nil
	}
	e, err := s.ws.Next()
	if err != nil || e.Kind == rawws.End {
		return arrival{Event: e}, err
	}
	a := arrival{Event: e}
	before := s.seen.Len()
	var rest []byte
	a.first, a.payload, rest = split(s.seen.Bytes())
	s.seen.Next(before - len(rest))
	return a, nil
}

// split cuts the first frame off what a server sent.
func split(b []byte) (first byte, payload, rest []byte) {
	length, head := int(b[1]), 2
	switch length {
	case 126:
		length, head = int(binary.BigEndian.Uint16(b[2:])), 4
	case 127:
		length, head = int(binary.BigEndian.Uint64(b[2:])), 10
	}
	end := head + length
	return b[0], bytes.Clone(b[head:end]), b[end:]
}

func cut(frame []byte) (first byte, payload []byte) {
	first, payload, _ = split(frame)
	return first, payload
}

// ended checks that the server ends the connection, and ends it too.
func (r *replay) ended(s *socket) {
	r.Helper()
	if a, err := s.next(); err != nil || a.Kind != rawws.End {
		r.Fatalf("%v, %v; want the end of the connection", a, err)
	}
	s.Close()
}

// settle waits until the server has handled what was sent: its pong comes behind
// all that it answers at once.
func (r *replay) settle(s *socket) {
	r.Helper()
	mark := []byte("settle")
	if err := s.ws.Send(rawws.Frame{Fin: true, Op: rawws.Ping, Payload: mark}.Bytes()); err != nil {
		r.Fatal(err)
	}
	var read []arrival
	for {
		a, err := s.next()
		if err != nil {
			r.Fatal(err)
		}
		if a.Kind == rawws.PongFrame && bytes.Equal(a.payload, mark) {
			s.ahead = read
			return
		}
		if read = append(read, a); a.Kind == rawws.End || a.Kind == rawws.CloseFrame {
			s.ahead = read
			return
		}
	}
}

// quiet checks that the server has nothing more to send.
func (r *replay) quiet(s *socket) {
	r.Helper()
	r.settle(s)
	for _, a := range s.ahead {
		r.Errorf("the server sent more: %v", a)
	}
	s.ahead = nil
}

// op is the frame's opcode; a sent frame may be described in words.
func (f frame) op() byte {
	for prefix, op := range map[string]byte{
		"text": rawws.Text, "binary": rawws.Binary, "close": rawws.Close, "ping": rawws.Ping, "pong": rawws.Pong,
	} {
		if strings.HasPrefix(f.Kind, prefix) {
			return op
		}
	}
	panic("transcript: frame of kind " + f.Kind)
}

func (f frame) payload() []byte {
	switch {
	case f.Kind == "text":
		return []byte(f.Data)
	case f.Kind == "close" && f.Code != 0 && f.Code != 1005:
		return append(binary.BigEndian.AppendUint16(nil, uint16(f.Code)), f.Reason...)
	}
	return mustHex(f.Hex)
}

// unmasked is the frame as the transcript's server sent it.
func (f frame) unmasked() []byte {
	if f.FrameHex != "" {
		return mustHex(f.FrameHex)
	}
	return rawws.Frame{Fin: true, Op: f.op(), Unmasked: true, Payload: f.payload()}.Bytes()
}
