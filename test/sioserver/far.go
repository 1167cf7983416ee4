package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// disconnectDelay is how long far:socketsDisconnect waits, so that its
// acknowledgement gets out first.
const disconnectDelay = 20 * time.Millisecond

// far are the events with which a client acts on other sockets of its
// namespace, and on other nodes. Each is acknowledged with what its function
// returns, or {farError: text}.
var far = map[string]func(*space, *socketio.Event) (any, error){
	"far:join": func(_ *space, e *socketio.Event) (any, error) {
		e.Socket().Join(e.String(0))
		return nil, nil
	},
	"far:leave": func(_ *space, e *socketio.Event) (any, error) {
		e.Socket().Leave(e.String(0))
		return nil, nil
	},
	"far:rooms": func(_ *space, e *socketio.Event) (any, error) {
		return e.Socket().Rooms(), nil
	},
	"far:data": func(_ *space, e *socketio.Event) (any, error) {
		data, err := e.Value(0).Any()
		e.Socket().SetData(data)
		return nil, err
	},
	"far:broadcast": func(sp *space, e *socketio.Event) (any, error) {
		r, err := readRequest(e)
		if err != nil {
			return nil, err
		}
		return nil, sp.targets(r).Emit(r.event, r.args...)
	},
	"far:broadcastAck": func(sp *space, e *socketio.Event) (any, error) {
		r, err := readRequest(e)
		if err != nil {
			return nil, err
		}
		responses, err := sp.targets(r).Timeout(r.timeout).EmitWithAck(context.Background(), r.event, r.args...)
		return outcome(responses, err), nil
	},
	"far:toOthers": func(_ *space, e *socketio.Event) (any, error) {
		r, err := readRequest(e)
		if err != nil {
			return nil, err
		}
		return nil, r.flags(e.Socket().To(r.rooms...).Except(r.except...)).Emit(r.event, r.args...)
	},
	"far:fetch": func(sp *space, e *socketio.Event) (any, error) {
		r, err := readRequest(e)
		if err != nil {
			return nil, err
		}
		sockets, err := sp.targets(r).FetchSockets(context.Background())
		if err != nil {
			return nil, err
		}
		return describe(sockets), nil
	},
	"far:socketsJoin": func(sp *space, e *socketio.Event) (any, error) {
		r, err := readRequest(e)
		if err != nil {
			return nil, err
		}
		return nil, sp.targets(r).SocketsJoin(r.to...)
	},
	"far:socketsLeave": func(sp *space, e *socketio.Event) (any, error) {
		r, err := readRequest(e)
		if err != nil {
			return nil, err
		}
		return nil, sp.targets(r).SocketsLeave(r.to...)
	},
	"far:socketsDisconnect": func(sp *space, e *socketio.Event) (any, error) {
		r, err := readRequest(e)
		if err != nil {
			return nil, err
		}
		time.AfterFunc(disconnectDelay, func() {
			// Who asked may be gone by now: there is nobody to tell.
			_ = sp.targets(r).DisconnectSockets(r.close)
		})
		return nil, nil
	},
	"far:remote": func(sp *space, e *socketio.Event) (any, error) {
		r, err := readRequest(e)
		if err != nil {
			return nil, err
		}
		sockets, err := sp.targets(r).FetchSockets(context.Background())
		if err != nil {
			return nil, err
		}
		for _, s := range sockets {
			if err := r.remote(s); err != nil {
				return nil, err
			}
		}
		return len(sockets), nil
	},
	"far:sse": func(sp *space, e *socketio.Event) (any, error) {
		r, err := readRequest(e)
		if err != nil {
			return nil, err
		}
		return nil, sp.ServerSideEmit(r.event, r.args...)
	},
	"far:sseAck": func(sp *space, e *socketio.Event) (any, error) {
		r, err := readRequest(e)
		if err != nil {
			return nil, err
		}
		responses, err := sp.ServerSideEmitWithAck(context.Background(), r.event, r.args...)
		return outcome(responses, err), nil
	},
	"far:allRooms": func(sp *space, e *socketio.Event) (any, error) {
		return sp.AllRooms(context.Background())
	},
	"far:user": func(_ *space, e *socketio.Event) (any, error) {
		return nil, e.Socket().SetUser(e.String(0))
	},
	"far:sendToUser": func(sp *space, e *socketio.Event) (any, error) {
		r, err := readRequest(e)
		if err != nil {
			return nil, err
		}
		return nil, sp.SendToUser(context.Background(), r.user, r.event, r.args...)
	},
	"far:sseLog": func(sp *space, e *socketio.Event) (any, error) {
		return sp.received(e.String(0)), nil
	},
	"far:stats": func(sp *space, _ *socketio.Event) (any, error) {
		return sp.stats(), nil
	},
}

// space is a namespace with the server-side events that it received.
type space struct {
	*socketio.Namespace
	io    *socketio.Server
	nodes *redis.Broker // nil: the server is alone

	mu  sync.Mutex
	log [][]any // [event, ...args] each
}

// received are the events whose first argument is first; "": all.
func (sp *space) received(first string) []any {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	events := []any{}
	for _, entry := range sp.log {
		if first == "" || len(entry) > 1 && fmt.Sprint(entry[1]) == first {
			events = append(events, entry)
		}
	}
	return events
}

// stats are what a test wants to know of the process: {goroutines, gaps, lost,
// unlogged, up, reason}.
func (sp *space) stats() map[string]any {
	s := sp.io.Stats()
	all := map[string]any{"goroutines": runtime.NumGoroutine(), "gaps": s.ClusterGaps, "unlogged": s.Unlogged, "up": true}
	if sp.nodes != nil {
		h := sp.nodes.Health()
		all["lost"], all["up"], all["reason"] = h.Lost, h.Up, h.Reason
	}
	return all
}

// tellGap is what clients hear when events of other nodes are missing: "gap",
// with the reason and the number, -1 if that is not known.
func tellGap(nsp *socketio.Namespace, g broker.Gap) {
	// Emit fails for an event that can't be encoded only, or a node that ends.
	_ = nsp.Local().Emit("gap", g.Reason.String(), g.Lost)
}

// serve registers the events of a namespace.
func serve(io *socketio.Server, nodes *redis.Broker, name string) {
	nsp := io.Of(name)
	sp := &space{Namespace: nsp, io: io, nodes: nodes}
	nsp.OnConnection(func(s *socketio.Socket) {
		_ = s.Emit("auth", s.Auth()) // who is gone already needs none
	})
	nsp.On("message", func(e *socketio.Event) { _ = e.Socket().Emit("message-back", e.Args()...) })
	nsp.On("message-with-ack", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
	for event, act := range far {
		nsp.On(event, func(e *socketio.Event) {
			answer, err := act(sp, e)
			if err != nil {
				answer = map[string]any{"farError": err.Error()}
			}
			_ = e.Ack(answer)
		})
	}
	for _, event := range []string{"sse-one", "sse-two"} {
		nsp.OnServerSide(event, func(e *socketio.ServerSideEvent) {
			entry := []any{e.Name()}
			for _, v := range e.Args() {
				entry = append(entry, v)
			}
			sp.mu.Lock()
			defer sp.mu.Unlock()
			sp.log = append(sp.log, entry)
		})
	}
	nsp.OnServerSide("sse-ask", func(e *socketio.ServerSideEvent) {
		if e.NeedsAck() {
			_ = e.Ack("from-x")
		}
	})
}

// targets are the sockets that a request means.
func (sp *space) targets(r *request) *socketio.Broadcast {
	return r.flags(sp.To(r.rooms...).Except(r.except...))
}

// flags are those of a broadcast that a request asks for.
func (r *request) flags(b *socketio.Broadcast) *socketio.Broadcast {
	if r.local {
		b = b.Local()
	}
	if r.volatile {
		b = b.Volatile()
	}
	if r.plain {
		b = b.Compress(false)
	}
	return b
}

// remote does to one socket what a request says.
func (r *request) remote(s *socketio.RemoteSocket) error {
	switch r.do {
	case "emit":
		return s.Emit(r.event, r.args...)
	case "join":
		return s.Join(r.to...)
	case "leave":
		return s.Leave(r.to...)
	case "disconnect":
		return s.Disconnect(r.close)
	}
	return fmt.Errorf("do: %q is not emit, join, leave or disconnect", r.do)
}

// request is the argument of most events; what is missing is zero.
type request struct {
	rooms, except, to []string
	local, close      bool
	volatile, plain   bool // plain: compress(false)
	do                string
	timeout           time.Duration
	event, user       string
	args              []any
}

func readRequest(e *socketio.Event) (*request, error) {
	given, err := e.Value(0).Any()
	if err != nil {
		return nil, err
	}
	fields, ok := given.(map[string]any)
	if given != nil && !ok {
		return nil, errors.New("the argument is no object")
	}
	r := &request{timeout: time.Second}
	for _, list := range []struct {
		name string
		into *[]string
	}{{"rooms", &r.rooms}, {"except", &r.except}, {"to", &r.to}} {
		if *list.into, err = texts(fields[list.name]); err != nil {
			return nil, fmt.Errorf("%s: %w", list.name, err)
		}
	}
	r.local, _ = fields["local"].(bool)
	r.close, _ = fields["close"].(bool)
	r.volatile, _ = fields["volatile"].(bool)
	r.plain = fields["compress"] == false
	r.do, _ = fields["do"].(string)
	r.event, _ = fields["event"].(string)
	r.user, _ = fields["user"].(string)
	r.args, _ = fields["args"].([]any)
	if ms, ok := fields["timeout"].(float64); ok {
		r.timeout = time.Duration(ms * float64(time.Millisecond))
	}
	return r, nil
}

// texts reads a string or a list of them.
func texts(v any) ([]string, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		return []string{v}, nil
	case []any:
		var all []string
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, errors.New("want strings")
			}
			all = append(all, s)
		}
		return all, nil
	}
	return nil, errors.New("want a list of strings")
}

// outcome is {error, responses}.
func outcome(responses []sio.Value, err error) any {
	all := []any{}
	for _, v := range responses {
		all = append(all, v)
	}
	out := map[string]any{"error": nil, "responses": all}
	if err != nil {
		out["error"] = err.Error()
	}
	return out
}

// describe is [{id, rooms, data, handshake}].
func describe(sockets []*socketio.RemoteSocket) []any {
	all := []any{}
	for _, s := range sockets {
		data := s.Data
		if data == nil {
			data = struct{}{}
		}
		all = append(all, map[string]any{"id": s.ID, "rooms": s.Rooms, "data": data, "handshake": s.Handshake})
	}
	return all
}
