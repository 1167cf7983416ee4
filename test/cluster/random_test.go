package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/socketio"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// operations is how many random ones a node makes, and waiting how many of them
// may wait for answers at a time.
const (
	operations = 10_000
	waiting    = 32
)

// soundCalls tell whether servers hear and answer each other.
var soundCalls = []string{
	"emit", "emitToRoom", "emitToSocket", "binary", "ack", "fetchSockets", "socketsJoin", "serverSideEmit", "serverSideAck",
}

// Whatever an application asks of wsd, what wsd publishes harms no Node server:
// none ends, none is deaf, and all still answer each other.
func TestRandomOperations(t *testing.T) {
	for i, k := range some("classic", "sharded-dynamic-private", "streams") {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			r := testkit.StartRedis(t)
			servers := cluster(t, k, r.URL())
			suite(t, settings{
				Suite: "harmless", Kind: k.name, Redis: r.URL(), Servers: servers,
				Flows: flowsOf(both, [][2]string{{"redis", "ioredis"}, {"ioredis", "redis"}, {"redis", "wsd1"}, {"wsd1", "redis"}, {"wsd2", "ioredis"}}, soundCalls),
				Order: func(t *testing.T, _ string) {
					seed := rand.Uint64()
					t.Logf("seed %d", seed)
					operate(t, k, r.URL(), rand.New(rand.NewPCG(seed, uint64(i))))
					for _, s := range servers {
						s.alive(t)
					}
				},
			}, nil)
		})
	}
}

// brokerOptions are those of the kinds.
func brokerOptions(kind, url string) redis.Options {
	o := redis.Options{URLs: []string{url}, Logger: slog.New(slog.DiscardHandler)}
	switch kind {
	case "classic":
	case "classic-specific":
		o.SpecificResponses = true
	case "sharded-static":
		o.Adapter, o.SubscriptionMode = redis.Sharded, redis.Static
	case "sharded-dynamic":
		o.Adapter = redis.Sharded
	case "sharded-dynamic-private":
		o.Adapter, o.SubscriptionMode = redis.Sharded, redis.DynamicPrivate
	case "streams":
		o.Adapter = redis.Streams
	case "streams-4":
		o.Adapter, o.StreamCount = redis.Streams, 4
	}
	return o
}

// operate runs a node that makes random operations, and ends it.
func operate(t *testing.T, k kind, url string, rnd *rand.Rand) {
	t.Helper()
	nodes, err := redis.Open(t.Context(), brokerOptions(k.name, url))
	if err != nil {
		t.Fatal(err)
	}
	io := socketio.New(socketio.Options{
		Cluster: nodes.Cluster(), RequestTimeout: 200 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	app := engine.New(engine.Options{})
	spaces := []*socketio.Namespace{io.Of("/"), io.Of("/custom")}
	app.Mount("/socket.io/", io)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- app.Serve(listener) }()

	g := &generator{rnd: rnd}
	slots := make(chan struct{}, waiting)
	var asking sync.WaitGroup
	made := map[string]int{}
	for range operations {
		nsp := spaces[rnd.IntN(len(spaces))]
		name, ask, err := g.operation(nsp)
		if err == nil {
			made[name]++
		}
		if ask != nil {
			slots <- struct{}{}
			asking.Go(func() { ask(); <-slots })
		}
	}
	asking.Wait()
	t.Logf("of %d operations accepted: %v", operations, made)
	for _, name := range []string{"emit", "emitWithAck", "join", "leave", "disconnect", "serverSideEmit", "serverSideEmitWithAck", "fetch"} {
		if made[name] < operations/100 {
			t.Errorf("%s was made %d times only", name, made[name])
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), stopTimeout)
	defer cancel()
	if err := errors.Join(io.Close(ctx), app.Shutdown(ctx), nodes.Close(ctx)); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, engine.ErrShutdown) {
		t.Error(err)
	}
}

// generator makes operations and values of every kind that Go has.
type generator struct{ rnd *rand.Rand }

// operation makes one: its name and error, and what waits for its answers, if
// that is how it is made.
func (g *generator) operation(nsp *socketio.Namespace) (name string, ask func(), err error) {
	to := nsp.To(g.rooms()...).Except(g.rooms()...)
	if g.one(8) {
		to = to.Volatile()
	}
	if g.one(8) {
		to = to.Compress(false)
	}
	if g.one(16) {
		to = to.Local()
	}
	ctx := context.Background()
	switch g.rnd.IntN(10) {
	case 0:
		event, args := g.event(), g.args()
		to = to.Timeout(time.Duration(1+g.rnd.IntN(300)) * time.Millisecond)
		return "emitWithAck", func() { _, _ = to.EmitWithAck(ctx, event, args...) }, nil
	case 1:
		return "join", nil, to.SocketsJoin(g.rooms()...)
	case 2:
		return "leave", nil, to.SocketsLeave(g.rooms()...)
	case 3:
		return "disconnect", nil, to.DisconnectSockets(g.one(2))
	case 4:
		return "serverSideEmit", nil, nsp.ServerSideEmit(g.event(), g.args()...)
	case 5:
		event, args := g.event(), g.args()
		return "serverSideEmitWithAck", func() { _, _ = nsp.ServerSideEmitWithAck(ctx, event, args...) }, nil
	case 6:
		event, args := g.event(), g.args()
		return "fetch", func() {
			found, _ := to.FetchSockets(ctx)
			for _, s := range found[:min(2, len(found))] {
				_, _ = s.Emit(event, args...), s.Join(event)
			}
		}, nil
	}
	return "emit", nil, to.Emit(g.event(), g.args()...)
}

// one is true once in n times.
func (g *generator) one(n int) bool { return g.rnd.IntN(n) == 0 }

// pick is one of some values.
func pick[T any](g *generator, of ...T) T { return of[g.rnd.IntN(len(of))] }

func (g *generator) event() string {
	if g.one(2) {
		return pick(g, "e", "q", "sse-one", "sse-two", "sse-ask")
	}
	return g.text()
}

// text is a string that somebody may stumble over.
func (g *generator) text() string {
	return pick(g,
		"", "x", "connect", "connection", "connect_error", "disconnect", "disconnecting", "error", "newListener", "removeListener",
		"new_namespace", "__proto__", "constructor", "hasOwnProperty", "toJSON", "type", "uid", "requestId", "{", "0", "-1",
		"\x00", "\xff\xfe", "\xed\xa0\x80", "é😀", "\u2028</script>", "a#b", "*", "[x]", strings.Repeat("y", 20), strings.Repeat("z", 300),
		strings.Repeat("é", g.rnd.IntN(70_000)),
	)
}

func (g *generator) rooms() []string {
	switch g.rnd.IntN(6) {
	case 0:
		return nil
	case 1, 2, 3:
		return []string{pick(g, "r0", "r1", "r2", "r3")}
	case 4:
		return []string{g.text()}
	}
	var rooms []string
	for range g.rnd.IntN(40) {
		rooms = append(rooms, pick(g, "r0", "r1", g.text()))
	}
	return rooms
}

func (g *generator) args() []any {
	var args []any
	for range g.rnd.IntN(4) {
		args = append(args, g.value(4))
	}
	return args
}

type sample struct {
	A  any            `json:"a,omitempty"`
	B  []byte         `json:"b"`
	C  *sample        `json:"c,omitempty"`
	D  map[string]any `json:"d"`
	At time.Time      `json:"at"`
}

// value is any value, depth levels deep at most.
func (g *generator) value(depth int) any {
	if depth == 0 {
		return g.text()
	}
	switch g.rnd.IntN(16) {
	case 0:
		return pick[any](g, nil, true, false)
	case 1:
		return pick[any](g, 0, -1, 255, 1<<31, -1<<31, int64(math.MaxInt64), int64(math.MinInt64), uint64(math.MaxUint64), int8(-128))
	case 2:
		return pick[any](g, 0.0, math.Copysign(0, -1), 1.5, 1e21, 1e300, -1e-300, math.NaN(), math.Inf(1), float32(0.1), math.MaxFloat64)
	case 3, 4:
		return g.text()
	case 5, 6:
		return make([]byte, g.rnd.IntN(200))
	case 7:
		return []byte(nil)
	case 8:
		list := make([]any, g.rnd.IntN(5))
		for i := range list {
			list[i] = g.value(depth - 1)
		}
		return list
	case 9, 10:
		object := map[string]any{}
		for range g.rnd.IntN(5) {
			object[g.text()] = g.value(depth - 1)
		}
		return object
	case 11:
		return sample{A: g.value(depth - 1), B: []byte("b"), C: &sample{}, D: map[string]any{"x": g.value(depth - 1)}, At: time.Now()}
	case 12:
		return pick[any](g, time.Now(), time.Time{}, json.Number("12345678901234567890"), json.RawMessage(`{"a":[1]}`), json.RawMessage(`{`),
			map[int]string{1: "x"}, [2]bool{}, struct{}{}, (*sample)(nil), []string(nil), map[string]any(nil))
	case 13:
		return pick[any](g, make(chan int), func() {}, complex(1, 2), errors.New("x"), sio.Value{}, sio.RawValue([]byte(`[1,{"_placeholder":true,"num":0}]`)))
	case 14:
		return map[string]any{"_placeholder": true, "num": g.rnd.IntN(3), "type": "Buffer", "data": []int{1, 2}}
	}
	deep := any("bottom")
	for range g.rnd.IntN(200) {
		deep = []any{deep}
	}
	return deep
}
