// Package rawws is a WebSocket client for tests: it sends any bytes it is told
// to and accepts only what the RFCs let a server send. It shares no code with
// the servers under test; even its inflater is its own, so that it can see how
// far back a compressed message reaches.
package rawws

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
	"unicode/utf8"
)

// Timeout bounds every single read and write of a Conn; see Conn.Patience.
const Timeout = 10 * time.Second

// ErrClosed says that the server ended the stream, by FIN or by RST.
var ErrClosed = errors.New("server closed the connection")

// Conn is a client's side of one connection. One goroutine may read while
// another writes.
type Conn struct {
	net.Conn
	Response *Response // of the last Upgrade
	Params   Params    // of the negotiated permessage-deflate
	Deflate  bool      // permessage-deflate is negotiated

	// Patience is how long the server may be silent; 0: Timeout.
	Patience time.Duration

	br       *bufio.Reader
	deflater *deflater
	history  []byte
	closed   bool // a Close frame has arrived
	open     bool // first and message hold the beginning of a message
	first    Frame
	message  []byte
}

// Event is what a server did: a whole message, a control frame, or the end.
type Event struct {
	Kind       Kind
	Payload    []byte // of a Close frame: the reason
	Code       int    // of a Close frame; 1005 when it has none
	Compressed bool
}

// Kind of an Event.
type Kind string

// The kinds of events.
const (
	TextMessage   Kind = "text"
	BinaryMessage Kind = "binary"
	PingFrame     Kind = "ping"
	PongFrame     Kind = "pong"
	CloseFrame    Kind = "close"
	End           Kind = "end" // no byte will follow
)

func (e Event) String() string {
	switch {
	case e.Kind == End:
		return "end"
	case e.Kind == CloseFrame:
		return fmt.Sprintf("close %d %q", e.Code, e.Payload)
	case len(e.Payload) > 40:
		return fmt.Sprintf("%s of %d bytes %q...", e.Kind, len(e.Payload), e.Payload[:40])
	}
	return fmt.Sprintf("%s %q", e.Kind, e.Payload)
}

// Dial opens a TCP connection to addr, without a handshake.
func Dial(addr string) (*Conn, error) {
	c, err := net.DialTimeout("tcp", addr, Timeout)
	if err != nil {
		return nil, err
	}
	return New(c), nil
}

// New wraps an open connection.
func New(c net.Conn) *Conn {
	return &Conn{Conn: c, br: bufio.NewReader(c)}
}

// Open dials addr and upgrades path, offering the extensions unless they are empty.
func Open(addr, path, extensions string) (*Conn, error) {
	c, err := Dial(addr)
	if err != nil {
		return nil, err
	}
	if err := c.Upgrade(path, extensions); err != nil {
		c.Conn.Close()
		return nil, err
	}
	return c, nil
}

// Send writes b in one piece.
func (c *Conn) Send(b []byte) error {
	c.SetWriteDeadline(time.Now().Add(Timeout))
	_, err := c.Write(b)
	return err
}

// SendChopped writes b in pieces of n bytes, a packet each.
func (c *Conn) SendChopped(b []byte, n int) error {
	for len(b) > 0 {
		k := min(n, len(b))
		if err := c.Send(b[:k]); err != nil {
			return err
		}
		b = b[k:]
	}
	return nil
}

// HalfClose ends the sending side: the server reads EOF, and may still answer.
func (c *Conn) HalfClose() error {
	return c.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// Reset closes the connection with an RST.
func (c *Conn) Reset() error {
	if t, ok := c.Conn.(*net.TCPConn); ok {
		t.SetLinger(0)
	}
	return c.Conn.Close()
}

// Next returns the next event, assembled, inflated and checked. Its error says
// how the server broke a rule, or that it stayed silent.
func (c *Conn) Next() (Event, error) {
	for {
		f, err := c.readFrame()
		switch {
		case errors.Is(err, ErrClosed) && !c.open:
			return Event{Kind: End}, nil
		case err != nil:
			return Event{}, err
		case c.closed:
			return Event{}, fmt.Errorf("server sent opcode %#x after its Close frame", f.Op)
		case f.Op >= Close:
			return c.control(f)
		}
		if err := c.add(f); err != nil {
			return Event{}, err
		}
		if f.Fin {
			c.open = false
			return c.assembled()
		}
	}
}

// add takes one data frame into the open message.
func (c *Conn) add(f Frame) error {
	switch {
	case c.open != (f.Op == Continuation):
		return fmt.Errorf("server sent opcode %#x with a message open: %v", f.Op, c.open)
	case !c.open:
		c.first, c.open, c.message = f, true, nil
	case f.Rsv != 0:
		return fmt.Errorf("server set reserved bits %03b on a continuation", f.Rsv)
	}
	c.message = append(c.message, f.Payload...)
	return nil
}

func (c *Conn) control(f Frame) (Event, error) {
	switch f.Op {
	case Ping:
		return Event{Kind: PingFrame, Payload: f.Payload}, nil
	case Pong:
		return Event{Kind: PongFrame, Payload: f.Payload}, nil
	}
	c.closed = true
	if len(f.Payload) == 0 {
		return Event{Kind: CloseFrame, Code: 1005}, nil
	}
	if len(f.Payload) == 1 {
		return Event{}, errors.New("server sent a Close frame with one byte")
	}
	code := int(f.Payload[0])<<8 | int(f.Payload[1])
	reason := f.Payload[2:]
	if code < 1000 || code > 4999 || code >= 1004 && code <= 1006 || code >= 1015 && code <= 2999 {
		return Event{}, fmt.Errorf("server sent close code %d", code)
	}
	if !utf8.Valid(reason) {
		return Event{}, fmt.Errorf("server sent close reason %q", reason)
	}
	return Event{Kind: CloseFrame, Code: code, Payload: reason}, nil
}

func (c *Conn) assembled() (Event, error) {
	e := Event{Kind: BinaryMessage, Payload: c.message, Compressed: c.first.Rsv&Rsv1 != 0}
	if e.Compressed {
		var err error
		if e.Payload, err = c.inflate(c.message); err != nil {
			return e, err
		}
	}
	if c.first.Op == Text {
		e.Kind = TextMessage
		if !utf8.Valid(e.Payload) {
			return e, errors.New("server sent a text that is not UTF-8")
		}
	}
	return e, nil
}

func (c *Conn) patience() time.Duration {
	if c.Patience > 0 {
		return c.Patience
	}
	return Timeout
}

// readFull is io.ReadFull with the deadline; an end of the stream, however it
// came, is ErrClosed.
func (c *Conn) readFull(b []byte) (int, error) {
	c.SetReadDeadline(time.Now().Add(c.patience()))
	n, err := io.ReadFull(c.br, b)
	var timeout net.Error
	switch {
	case err == nil:
		return n, nil
	case errors.As(err, &timeout) && timeout.Timeout():
		return n, fmt.Errorf("server was silent for %v", c.patience())
	}
	return n, ErrClosed
}
