package bench_test

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/flate"

	"github.com/fe4bcecb/wsd/codec/frame"
	"github.com/fe4bcecb/wsd/codec/handshake"
)

// conduct is how truthful a server is. The zero value is an honest one.
type conduct struct {
	// answer returns what to send for the nth message that the server gets,
	// probes of a topic aside; it closes with ok false. nil: the message.
	answer   func(n int, payload []byte) (out [][]byte, ok bool)
	pieces   int  // frames per answer; 0: 1
	deflate  bool // accept permessage-deflate
	self     bool // publish to the sender too
	deaf     bool // never answer pings
	status   int  // of the handshake; 0: 101
	pingEach bool // send a ping before each answer
}

// server is a small WebSocket server that echoes, or publishes at /topics/.
type server struct {
	conduct
	ln net.Listener
	wg sync.WaitGroup

	mu    sync.Mutex
	n     int
	peers map[*peerConn]bool
}

type peerConn struct {
	net.Conn
	mu       sync.Mutex
	deflated bool
	topic    string // "": echo; guarded by server.mu
	mute     bool   // publishes only; guarded by server.mu
}

// startServer listens until the test ends.
func startServer(t *testing.T, c conduct) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{conduct: c, ln: ln, peers: map[*peerConn]bool{}}
	s.wg.Go(s.accept)
	t.Cleanup(func() {
		ln.Close()
		s.mu.Lock()
		for c := range s.peers {
			c.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return ln.Addr().String()
}

func (s *server) accept() {
	for {
		nc, err := s.ln.Accept()
		if err != nil {
			return
		}
		c := &peerConn{Conn: nc}
		s.mu.Lock()
		s.peers[c] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			s.serve(c)
			c.Close()
			s.mu.Lock()
			delete(s.peers, c)
			s.mu.Unlock()
		})
	}
}

func (s *server) serve(c *peerConn) {
	br := bufio.NewReader(c)
	req, err := http.ReadRequest(br)
	if err != nil {
		return
	}
	if s.status != 0 {
		_, _ = c.Write(handshake.AppendError(nil, s.status, nil, "no\n"))
		return
	}
	extensions := ""
	if s.deflate && req.Header.Get("Sec-WebSocket-Extensions") != "" {
		extensions = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
		c.deflated = true
	}
	head, _ := handshake.AppendResponse(nil, []byte(req.Header.Get("Sec-WebSocket-Key")), nil, []byte(extensions), nil)
	if _, err := c.Write(head); err != nil {
		return
	}
	if name, ok := strings.CutPrefix(req.URL.Path, "/topics/"); ok {
		s.mu.Lock()
		c.topic, c.mute = name, req.URL.Query().Get("mode") == "pub"
		s.mu.Unlock()
	}
	rules := frame.Rules{Masked: true, Deflate: c.deflated}
	var m frame.Message
	for {
		h, payload, err := readFrame(br)
		if err != nil || m.Accept(&h, &rules) != nil {
			return
		}
		if !s.handle(c, h, payload) {
			return
		}
	}
}

// readFrame reads one frame and unmasks it.
func readFrame(br *bufio.Reader) (h frame.Header, payload []byte, err error) {
	var head []byte
	for n := 0; n == 0; {
		b, err := br.ReadByte()
		if err != nil {
			return h, nil, err
		}
		head = append(head, b)
		if n, err = frame.ParseHeader(head, &h); err != nil {
			return h, nil, err
		}
	}
	payload = make([]byte, h.Length)
	_, err = io.ReadFull(br, payload)
	frame.Mask(payload, h.Mask, 0)
	return h, payload, err
}

func (s *server) handle(c *peerConn, h frame.Header, payload []byte) bool {
	switch h.OpCode {
	case ws.OpPing:
		return s.deaf || c.send(frame.AppendFrame(nil, ws.OpPong, payload))
	case ws.OpPong:
		return true
	case ws.OpClose:
		return false
	}
	if h.Rsv != 0 {
		payload = inflate(payload)
	}
	out, ok := [][]byte{payload}, true
	s.mu.Lock()
	if probe := c.topic != "" && payload[0] == '?'; s.answer != nil && !probe {
		out, ok = s.answer(s.n, payload)
		s.n++
	}
	to := []*peerConn{c}
	if c.topic != "" {
		to = s.membersLocked(c)
	}
	s.mu.Unlock()
	for _, p := range out {
		for _, peer := range to {
			if s.pingEach {
				peer.send(frame.AppendFrame(nil, ws.OpPing, []byte("there?")))
			}
			peer.send(s.frames(peer, h.OpCode, p))
		}
	}
	return ok
}

// membersLocked is who gets what sender publishes.
func (s *server) membersLocked(sender *peerConn) (members []*peerConn) {
	for c := range s.peers {
		if c.topic == sender.topic && !c.mute && (c != sender || s.self) {
			members = append(members, c)
		}
	}
	return members
}

// frames encodes a message for c, in pieces.
func (s *server) frames(c *peerConn, op frame.OpCode, p []byte) (b []byte) {
	if c.deflated {
		p = deflate(p)
	}
	pieces := max(s.pieces, 1)
	for i := range pieces {
		part := p[i*len(p)/pieces : (i+1)*len(p)/pieces]
		b = frame.AppendHeader(b, i == pieces-1, c.deflated && i == 0, op, len(part))
		b = append(b, part...)
		op = ws.OpContinuation
	}
	return b
}

func (c *peerConn) send(b []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.Write(b)
	return err == nil
}

func deflate(p []byte) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestSpeed)
	_, _ = w.Write(p)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

func inflate(p []byte) []byte {
	tail := bytes.NewReader([]byte{0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff})
	out, _ := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(p), tail)))
	return out
}
