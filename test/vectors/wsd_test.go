package vectors

import (
	"context"
	"maps"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/engineio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// wsdServer is a server of wsd's library in this process.
type wsdServer struct {
	app      *engine.App
	io       *socketio.Server
	listener net.Listener
	served   chan error
	closing  sync.WaitGroup // shutdown's Close

	mu      sync.Mutex
	log     []event
	sockets map[string]*socketio.Socket // by id
	joined  map[string]int              // sockets so far, by namespace
}

func startWSD(t *testing.T, s setup) server       { return serve(t, s, false) }
func startInlineWSD(t *testing.T, s setup) server { return serve(t, s, true) }

func serve(t *testing.T, s setup, inline bool) server {
	t.Helper()
	opts, prefix := translate(t, s)
	opts.Inline = inline
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wsdServer{
		app:      engine.New(engine.Options{}),
		io:       socketio.New(opts),
		listener: l,
		served:   make(chan error, 1),
		sockets:  map[string]*socketio.Socket{},
		joined:   map[string]int{},
	}
	if s.style == "transport" {
		w.io.OnDisconnect(func(_ *socketio.Socket, reason string) {
			w.record(event{"event": "socket disconnect", "reason": reason})
		})
		w.io.OnConnection(w.remember)
	} else {
		w.watch(w.io.Namespace)
	}
	app := s.app
	if app == "" {
		app = "none"
	}
	apps[app](w)
	w.app.Handle("/", http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.WriteHeader(http.StatusNotFound)
	}))
	w.app.Mount(prefix, w.io)
	go func() { w.served <- w.app.Serve(l) }()
	return w
}

// watch records what happens to a namespace's sockets.
func (w *wsdServer) watch(n *socketio.Namespace) {
	n.OnConnection(func(s *socketio.Socket) {
		w.remember(s)
		w.mu.Lock()
		w.joined[n.Name()]++
		number := w.joined[n.Name()]
		w.mu.Unlock()
		record := func(name string, more event) {
			e := event{"event": name, "nsp": n.Name(), "socket": number}
			maps.Copy(e, more)
			w.record(e)
		}
		if s.Recovered() {
			record("connection", event{"auth": plain(s.Auth()), "recovered": true})
		} else {
			record("connection", event{"auth": plain(s.Auth())})
		}
		s.On("error", func(*socketio.Event) { w.record(event{"event": "socket error"}) })
		s.OnDisconnect(func(reason string) {
			record("disconnect", event{"reason": reason})
		})
		s.OnAny(func(e *socketio.Event) {
			record("onAny", event{"args": argsOf(e)})
		})
	})
}

func (w *wsdServer) remember(s *socketio.Socket) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sockets[s.ID()] = s
}

func (w *wsdServer) socket(t *testing.T, id string) *socketio.Socket {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.sockets[id] == nil {
		t.Fatalf("no socket %s", id)
	}
	return w.sockets[id]
}

func (w *wsdServer) record(e event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, e)
}

// argsOf are an event's arguments as the transcripts write them, the name and
// the acknowledgement included.
func argsOf(e *socketio.Event) []any {
	args := []any{}
	if e.Name() != "" || e.Len() > 0 {
		args = append(args, e.Name())
	}
	for _, v := range e.Values() {
		args = append(args, plain(v))
	}
	if e.NeedsAck() {
		args = append(args, map[string]bool{"$function": true})
	}
	return args
}

func plain(v sio.Value) any {
	x, err := v.Any()
	if err != nil {
		return err.Error()
	}
	return plainAny(x)
}

func plainAny(x any) any {
	switch x := x.(type) {
	case []byte:
		return bin(x)
	case []any:
		for i := range x {
			x[i] = plainAny(x[i])
		}
	case map[string]any:
		for k := range x {
			x[k] = plainAny(x[k])
		}
	}
	return x
}

func (w *wsdServer) addr() string { return w.listener.Addr().String() }

func (w *wsdServer) emit(t *testing.T, e emission) {
	t.Helper()
	if e.Socket != "" {
		s := w.socket(t, e.Socket)
		if e.Ack {
			check(t, s.EmitFunc(func([]sio.Value, error) {}, e.Args[0].(string), e.values()...))
			return
		}
		check(t, s.Emit(e.Args[0].(string), e.values()...))
		return
	}
	b := w.io.Except()
	if e.Room != "" {
		b = b.To(e.Room)
	}
	if e.Volatile {
		b = b.Volatile()
	}
	check(t, b.Emit(e.Args[0].(string), e.values()...))
}

// values are the arguments behind the event's name, in Go's terms: it knows no
// undefined, and a Date is its text.
func (e emission) values() []any {
	values := make([]any, len(e.Args)-1)
	for i, v := range e.Args[1:] {
		switch v := v.(type) {
		case bin:
			values[i] = []byte(v)
		case map[string]bool: // undefined
		case map[string]string:
			values[i] = v["$date"]
		default:
			values[i] = v
		}
	}
	return values
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *wsdServer) join(t *testing.T, socket, room string) {
	t.Helper()
	w.socket(t, socket).Join(room)
}

func (w *wsdServer) kick(t *testing.T, closeConn bool) {
	t.Helper()
	check(t, w.io.DisconnectSockets(closeConn))
}

func (w *wsdServer) shutdown(*testing.T) {
	w.closing.Go(func() { w.closeIO() })
}

func (w *wsdServer) closeIO() error {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return w.io.Close(ctx)
}

// postPause is how long a POST gets to arrive: nothing tells that it is being read.
const postPause = 30 * time.Millisecond

func (w *wsdServer) parked(_ *testing.T, method, sid string) bool {
	if method == "POST" {
		time.Sleep(postPause)
		return true
	}
	s := w.io.Engine().Session(sid)
	if s == nil {
		return false
	}
	writable := make(chan bool, 1)
	return s.Loop().Post(func() { writable <- s.Writable() }) && <-writable
}

func (w *wsdServer) sessions(*testing.T) int { return w.io.Engine().Sessions() }

// events are those of the handlers, and what the counters tell of the transport.
func (w *wsdServer) events(*testing.T) []event {
	stats := w.io.Stats().Engine
	w.mu.Lock()
	defer w.mu.Unlock()
	events := append([]event(nil), w.log...)
	for reason, n := range stats.Closed {
		if reason == engineio.ShuttingDown {
			reason = engineio.ForcedClose // Node's sockets have that word, its sessions do not
		}
		for range n {
			events = append(events, event{"event": "engine close", "reason": string(reason)})
		}
	}
	for code, n := range stats.Refused {
		for range n {
			events = append(events, event{"event": "engine connection_error", "code": code})
		}
	}
	return events
}

// observed leaves out descriptions, and errors of which a socket's handlers do
// not hear. Arguments are what JSON has of them, and names are text.
func (w *wsdServer) observed(e event) event {
	switch e["event"] {
	case "engine close":
		return event{"event": e["event"], "reason": e["reason"]}
	case "engine connection_error":
		return event{"event": e["event"], "code": e["code"]}
	case "socket error":
		if e["message"] != nil {
			return nil
		}
	case "onAny":
		args := jsonOnly(e["args"]).([]any)
		if len(args) > 0 {
			if n, ok := args[0].(float64); ok {
				args[0] = strconv.FormatFloat(n, 'f', -1, 64)
			}
		}
		return event{"event": e["event"], "nsp": e["nsp"], "args": args}
	case "ack callback":
		return event{"event": e["event"], "err": e["err"], "v": jsonOnly(e["v"])}
	}
	return e
}

// jsonOnly is v without what JSON can't say.
func jsonOnly(v any) any {
	switch v := v.(type) {
	case []any:
		all := make([]any, len(v))
		for i := range v {
			all[i] = jsonOnly(v[i])
		}
		return all
	case map[string]any:
		if v["$undefined"] != nil {
			return nil
		}
		if date := v["$date"]; date != nil {
			return date
		}
	}
	return v
}

func (w *wsdServer) close(t *testing.T) {
	t.Helper()
	w.closing.Wait()
	if err := w.closeIO(); err != nil {
		t.Errorf("Server.Close: %v", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if err := w.app.Shutdown(ctx); err != nil {
		t.Errorf("App.Shutdown: %v", err)
	}
	<-w.served
}
