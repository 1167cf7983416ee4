package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// line is a WebSocket whose texts a function gets, on a goroutine.
type line struct {
	conn *websocket.Conn
	gone chan struct{} // closed when the connection has ended
}

func open(url string, hears func(text string), protocols ...string) (*line, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: protocols})
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(-1)
	l := &line{conn: conn, gone: make(chan struct{})}
	go func() {
		defer close(l.gone)
		for {
			_, data, err := conn.Read(context.Background())
			if err != nil {
				return
			}
			hears(string(data))
		}
	}()
	return l, nil
}

func (l *line) send(text string) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return l.conn.Write(ctx, websocket.MessageText, []byte(text))
}

// close breaks the connection, without a farewell.
func (l *line) close() {
	l.conn.CloseNow()
	<-l.gone
}

// ended reports whether the connection has.
func (l *line) ended() bool {
	select {
	case <-l.gone:
		return true
	default:
		return false
	}
}

// socket is a Socket.IO client in "/".
type socket struct {
	*line
	event     func(args []any) // called for each event, on a goroutine
	connected chan struct{}

	// Set when connected is closed.
	SID, PID string

	mu   sync.Mutex
	last int // of asked
	ack  map[int]func(answer json.RawMessage)
}

// connect opens a socket; event may be nil.
func connect(address string, auth map[string]string, event func(args []any)) (*socket, error) {
	s := &socket{event: event, connected: make(chan struct{}), ack: map[int]func(json.RawMessage){}}
	hello := "40"
	if auth != nil {
		text, err := json.Marshal(auth)
		if err != nil {
			return nil, err
		}
		hello += string(text)
	}
	// What is heard before send can be used is not much, and waits.
	opened := make(chan struct{})
	l, err := open("ws://"+address+"/socket.io/?EIO=4&transport=websocket", func(text string) {
		<-opened
		s.hears(text, hello)
	})
	if err != nil {
		return nil, err
	}
	s.line = l
	close(opened)
	select {
	case <-s.connected:
		return s, nil
	case <-s.gone:
	case <-time.After(patience):
		s.close()
	}
	return nil, fmt.Errorf("%s: no connection to the namespace", address)
}

func (s *socket) hears(text, hello string) {
	switch {
	case strings.HasPrefix(text, "0"):
		_ = s.send(hello) // the end of the connection tells
	case text == "2":
		_ = s.send("3")
	case strings.HasPrefix(text, "40"):
		_ = json.Unmarshal([]byte(text[2:]), s)
		close(s.connected)
	case strings.HasPrefix(text, "42"):
		var args []any
		if json.Unmarshal([]byte(text[2:]), &args) == nil && s.event != nil {
			s.event(args)
		}
	case strings.HasPrefix(text, "43"):
		s.acked(text[2:])
	}
}

func (s *socket) acked(text string) {
	at := strings.IndexByte(text, '[')
	if at < 0 {
		return
	}
	id, err := strconv.Atoi(text[:at])
	var args []json.RawMessage
	if err != nil || json.Unmarshal([]byte(text[at:]), &args) != nil || len(args) == 0 {
		return
	}
	s.mu.Lock()
	fn := s.ack[id]
	delete(s.ack, id)
	s.mu.Unlock()
	if fn != nil {
		fn(args[0])
	}
}

// ask emits an event; answer is called with what it is acknowledged with.
func (s *socket) ask(answer func(json.RawMessage), event string, args ...any) error {
	text, err := json.Marshal(append([]any{event}, args...))
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.last++
	id := s.last
	s.ack[id] = answer
	s.mu.Unlock()
	return s.send("42" + strconv.Itoa(id) + string(text))
}

// errFar is what the server answered instead.
var errFar = errors.New("the server answered")

// call is ask that waits for the answer.
func (s *socket) call(event string, args ...any) (json.RawMessage, error) {
	answered := make(chan json.RawMessage, 1)
	if err := s.ask(func(answer json.RawMessage) { answered <- answer }, event, args...); err != nil {
		return nil, err
	}
	select {
	case answer := <-answered:
		if why := farError(answer); why != "" {
			return nil, fmt.Errorf("%w: %s", errFar, why)
		}
		return answer, nil
	case <-s.gone:
		return nil, errors.New("the connection has ended")
	case <-time.After(patience):
		return nil, fmt.Errorf("%s: no answer", event)
	}
}

// farError is the error in an answer, "" if there is none.
func farError(answer json.RawMessage) string {
	var e struct{ FarError string }
	_ = json.Unmarshal(answer, &e) // anything else is no error
	return e.FarError
}
