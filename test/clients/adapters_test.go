package clients

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
	"github.com/lxzan/gws"
)

const timeout = 15 * time.Second

// event is what a client reports: a message, a pong, or the close.
type event struct {
	kind string // text, binary, pong, close
	data []byte
	code int // of a close
}

func (e event) String() string {
	if len(e.data) > 40 {
		return fmt.Sprintf("%s %d of %d bytes %.40q...", e.kind, e.code, len(e.data), e.data)
	}
	return fmt.Sprintf("%s %d %q", e.kind, e.code, e.data)
}

// conn is one connection of some Go client.
type conn interface {
	send(text bool, data []byte) error
	ping(payload string) error
	// close starts the closing handshake; an event of kind close follows.
	close(code int, reason string) error
	compressed() bool
	// drop ends the connection without more ado.
	drop()
	events() <-chan event
}

// dialers open a connection, offering compression or not.
var dialers = map[string]func(url string, compress bool) (conn, error){
	"gorilla": dialGorilla,
	"coder":   dialCoder,
	"gws":     dialGws,
}

// queue is the part that all have in common.
type queue chan event

func newQueue() queue                { return make(queue, 4096) }
func (q queue) events() <-chan event { return q }

type gorillaConn struct {
	queue
	*gorilla.Conn
	deflate bool
}

func dialGorilla(url string, compress bool) (conn, error) {
	d := gorilla.Dialer{EnableCompression: compress, HandshakeTimeout: timeout}
	c, res, err := d.Dial(url, nil)
	if err != nil {
		return nil, err
	}
	g := &gorillaConn{newQueue(), c, res.Header.Get("Sec-WebSocket-Extensions") != ""}
	c.SetPongHandler(func(payload string) error {
		g.queue <- event{kind: "pong", data: []byte(payload)}
		return nil
	})
	go g.read()
	return g, nil
}

func (g *gorillaConn) read() {
	defer g.Conn.Close()
	for {
		op, data, err := g.ReadMessage()
		if err != nil {
			e := event{kind: "close", code: 1006}
			if closed, ok := errors.AsType[*gorilla.CloseError](err); ok {
				e.code = closed.Code
			}
			g.queue <- e
			return
		}
		g.queue <- event{kind: kinds[op == gorilla.TextMessage], data: data}
	}
}

var kinds = map[bool]string{true: "text", false: "binary"}

func (g *gorillaConn) send(text bool, data []byte) error {
	op := gorilla.BinaryMessage
	if text {
		op = gorilla.TextMessage
	}
	return g.WriteMessage(op, data)
}

func (g *gorillaConn) ping(payload string) error {
	return g.WriteControl(gorilla.PingMessage, []byte(payload), time.Now().Add(timeout))
}

func (g *gorillaConn) close(code int, reason string) error {
	return g.WriteControl(gorilla.CloseMessage, gorilla.FormatCloseMessage(code, reason), time.Now().Add(timeout))
}

func (g *gorillaConn) compressed() bool { return g.deflate }
func (g *gorillaConn) drop()            { g.Conn.Close() }

type coderConn struct {
	queue
	*websocket.Conn
	deflate bool
}

func dialCoder(url string, compress bool) (conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	mode := websocket.CompressionDisabled
	if compress {
		mode = websocket.CompressionContextTakeover
	}
	c, res, err := websocket.Dial(ctx, url, &websocket.DialOptions{CompressionMode: mode, CompressionThreshold: 16})
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(1 << 20)
	cc := &coderConn{newQueue(), c, res.Header.Get("Sec-WebSocket-Extensions") != ""}
	go cc.read()
	return cc, nil
}

func (c *coderConn) read() {
	defer c.Conn.CloseNow()
	for {
		op, data, err := c.Read(context.Background())
		if err != nil {
			code := int(websocket.CloseStatus(err))
			c.queue <- event{kind: "close", code: code}
			return
		}
		c.queue <- event{kind: kinds[op == websocket.MessageText], data: data}
	}
}

func (c *coderConn) send(text bool, data []byte) error {
	op := websocket.MessageBinary
	if text {
		op = websocket.MessageText
	}
	return c.Write(context.Background(), op, data)
}

// ping chooses its own payload and waits for the pong.
func (c *coderConn) ping(payload string) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := c.Ping(ctx); err != nil {
		return err
	}
	c.queue <- event{kind: "pong", data: []byte(payload)}
	return nil
}

// close waits for the server's Close frame. The reader of this client, which is
// told of its own close only, reports that; the server's code is in the error.
func (c *coderConn) close(code int, reason string) error {
	return c.Close(websocket.StatusCode(code), reason)
}

func (c *coderConn) compressed() bool { return c.deflate }
func (c *coderConn) drop()            { c.CloseNow() }

type gwsConn struct {
	queue
	*gws.Conn
	deflate bool
}

type gwsEvents struct {
	gws.BuiltinEventHandler
	queue
}

func dialGws(url string, compress bool) (conn, error) {
	q := newQueue()
	c, res, err := gws.NewClient(&gwsEvents{queue: q}, &gws.ClientOption{
		Addr:             url,
		HandshakeTimeout: timeout,
		CheckUtf8Enabled: true,
		PermessageDeflate: gws.PermessageDeflate{
			Enabled: compress, ServerContextTakeover: true, ClientContextTakeover: true, Threshold: 1,
		},
	})
	if err != nil {
		return nil, err
	}
	go c.ReadLoop()
	return &gwsConn{q, c, res.Header.Get("Sec-WebSocket-Extensions") != ""}, nil
}

func (e *gwsEvents) OnMessage(_ *gws.Conn, m *gws.Message) {
	defer m.Close()
	e.queue <- event{kind: kinds[m.Opcode == gws.OpcodeText], data: append([]byte(nil), m.Bytes()...)}
}

func (e *gwsEvents) OnPing(c *gws.Conn, payload []byte) { c.WritePong(payload) }

func (e *gwsEvents) OnPong(_ *gws.Conn, payload []byte) {
	e.queue <- event{kind: "pong", data: append([]byte(nil), payload...)}
}

func (e *gwsEvents) OnClose(_ *gws.Conn, err error) {
	code := 1006
	if closed, ok := errors.AsType[*gws.CloseError](err); ok {
		code = int(closed.Code)
	}
	e.queue <- event{kind: "close", code: code}
}

func (g *gwsConn) send(text bool, data []byte) error {
	op := gws.OpcodeBinary
	if text {
		op = gws.OpcodeText
	}
	return g.WriteMessage(op, data)
}

func (g *gwsConn) ping(payload string) error { return g.WritePing([]byte(payload)) }

// close hangs up right behind the Close frame.
func (g *gwsConn) close(code int, reason string) error {
	return g.WriteClose(uint16(code), []byte(reason))
}

func (g *gwsConn) compressed() bool { return g.deflate }
func (g *gwsConn) drop()            { g.NetConn().Close() }
