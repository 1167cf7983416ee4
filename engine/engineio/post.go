package engineio

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/eio"
)

// post is a POST whose body is being read.
type post struct {
	binary  bool // it says that its payload is binary
	aborted atomic.Bool
	control *http.ResponseController
}

// abortPost breaks the POST that is being read.
func (s *Session) abortPost() {
	if x := s.poll.post; x != nil {
		s.poll.post = nil
		x.aborted.Store(true)
		// A connection that has no deadlines is read to its end.
		_ = x.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// servePost takes a payload from the client.
func (s *Session) servePost(w http.ResponseWriter, r *http.Request) {
	srv := s.lane.srv
	x := &post{
		binary:  r.Header.Get("Content-Type") == "application/octet-stream",
		control: http.NewResponseController(w),
	}
	begun := make(chan answer, 1)
	if !s.lane.loop.Post(func() { begun <- s.beginPost(x) }) {
		srv.refuse(w, r, refuseSID)
		return
	}
	if a := <-begun; a.refused != nil || a.status != 0 {
		srv.writeAnswer(w, r, &a)
		return
	}
	body, fault := s.readBody(w, r, x)
	done := make(chan struct{})
	if !s.lane.loop.Post(func() {
		defer close(done)
		s.endPost(x, body, fault)
	}) {
		srv.refuse(w, r, refuseSID)
		return
	}
	<-done
	switch {
	case errors.Is(fault, errTooLarge):
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case fault != nil || x.aborted.Load():
		panic(http.ErrAbortHandler) // engine.io destroys the connection
	default:
		h := w.Header()
		h.Set("Content-Type", "text/html")
		h.Set("Content-Length", "2")
		h.Set("Cache-Control", "no-store")
		// The client may be gone.
		_, _ = w.Write([]byte("ok"))
	}
}

// beginPost lets a POST be read, if it is the only one.
func (s *Session) beginPost(x *post) answer {
	p := s.poll
	switch {
	case p == nil && !s.closed:
		return answer{refused: refuseRequest}
	case p == nil:
		return answer{refused: refuseSID}
	case p.post != nil:
		s.end(TransportError, "data request overlap from client")
		return answer{status: http.StatusBadRequest}
	case x.binary && s.revision == 4:
		s.end(TransportError, "invalid content")
		return answer{status: http.StatusBadRequest}
	}
	p.post = x
	return answer{}
}

// What can be wrong with a body beside its packets.
var (
	errTooLarge = errors.New("engineio: the body is larger than MaxPayload")
	errAborted  = errors.New("engineio: the request was aborted")
)

// readBody reads a POST's body within MaxPayload, and the time that boundBody set.
func (s *Session) readBody(w http.ResponseWriter, r *http.Request, x *post) ([]byte, error) {
	limit := s.lane.srv.opts.MaxPayload
	if r.ContentLength > int64(limit) {
		return nil, errTooLarge
	}
	body, err := readAll(http.MaxBytesReader(w, r.Body, int64(limit)), int(r.ContentLength))
	var large *http.MaxBytesError
	switch {
	case x.aborted.Load():
		return nil, errAborted
	case errors.As(err, &large):
		return nil, errTooLarge
	case err != nil:
		return nil, err // with its deadline: net/http would wait for the rest
	}
	_ = x.control.SetReadDeadline(time.Time{})
	return body, nil
}

// readAhead is how much of a body's announced length is believed.
const readAhead = 16 << 10

// readAll reads a body of an announced length, if it is not negative.
func readAll(r io.Reader, length int) ([]byte, error) {
	var b bytes.Buffer
	if length > 0 {
		b.Grow(min(length, readAhead) + bytes.MinRead)
	}
	_, err := b.ReadFrom(r)
	return b.Bytes(), err
}

// endPost handles the packets of a POST that was read.
func (s *Session) endPost(x *post, body []byte, fault error) {
	if s.poll != nil && s.poll.post == x {
		s.poll.post = nil
	}
	switch {
	case s.closed:
		if s.poll != nil && fault == nil && endsSession(body) {
			s.answer(noopPacket)
			s.bury()
		}
	case errors.Is(fault, errTooLarge):
		s.lane.tooLarge.Add(1)
	case fault != nil:
		if errors.Is(fault, os.ErrDeadlineExceeded) {
			s.lane.slowPosts.Add(1)
		}
		if s.poll != nil { // else a WebSocket has taken over, and goes on, as with Node
			s.end(TransportError, "data request connection closed prematurely")
		}
	default:
		s.lane.posts.Add(1)
		s.lane.bytesIn.Add(uint64(len(body)))
		s.guard(func() { s.receivePayload(body) })
	}
}

// endsSession reports whether a payload is a close packet, in either revision.
func endsSession(body []byte) bool { return string(body) == "1" || string(body) == "1:1" }

// errEnded stops the parser of a payload.
var errEnded = errors.New("engineio: the session has ended")

// receivePayload handles the packets of a payload, up to one that is malformed
// or ends the session.
func (s *Session) receivePayload(body []byte) {
	if s.revision == 3 {
		// Binary payloads begin with a byte that no text does.
		if len(body) > 0 && body[0] > 1 {
			body = toText(body)
		}
		err := eio.ParsePayloadV3(body, func(p eio.Packet) error {
			if !s.receive(p) {
				return errEnded
			}
			return nil
		})
		if err != nil && !s.closed {
			s.end(ParseError, err.Error())
		}
		return
	}
	body = toText(body)
	for more := true; more; {
		var packet []byte
		packet, body, more = eio.NextPacket(body)
		p, err := eio.ParseText(packet)
		if err != nil {
			s.end(ParseError, err.Error())
			return
		}
		if !s.receive(p) {
			return
		}
	}
}

// toText replaces what is no UTF-8, as Node decodes a body: a WebSocket could
// not pass it on.
func toText(body []byte) []byte {
	if utf8.Valid(body) {
		return body
	}
	return bytes.ToValidUTF8(body, []byte("\uFFFD"))
}
