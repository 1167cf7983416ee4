package vectors

import (
	"encoding/hex"
	"errors"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// apps are the twins of those in apps.mjs.
var apps = map[string]func(*wsdServer){
	"none": func(*wsdServer) {},

	// namespaces
	"admin": func(w *wsdServer) { w.watch(w.io.Of("/admin")) },
	"dynamic": func(w *wsdServer) {
		w.io.OfPattern(regexp.MustCompile(`^/dyn-\d+$`)).OnConnection(func(s *socketio.Socket) {
			s.Emit("hi", s.Namespace().Name())
		})
	},
	"admin, count": func(w *wsdServer) {
		w.watch(w.io.Of("/admin"))
		for _, n := range []*socketio.Namespace{w.io.Namespace, w.io.Of("/admin")} {
			n.On("q", func(e *socketio.Event) { e.Ack("r", e.Len()+1) })
		}
	},

	// middlewares
	"refuse with 401": func(w *wsdServer) {
		w.io.Use(func(*socketio.Socket) error {
			return socketio.Refuse("not authorized", map[string]int{"code": 401})
		})
	},
	"refuse with 1": func(w *wsdServer) {
		w.io.Use(func(*socketio.Socket) error {
			return socketio.Refuse("not authorized", map[string]int{"code": 1})
		})
	},
	"refuse /admin": func(w *wsdServer) {
		w.io.Of("/admin").Use(func(*socketio.Socket) error { return errors.New("nope") })
	},
	"early": func(w *wsdServer) {
		w.io.Use(func(s *socketio.Socket) error { return s.Emit("early") })
	},

	// emits on connection
	"ask": each(func(w *wsdServer, s *socketio.Socket) {
		s.EmitFunc(func(args []sio.Value, err error) {
			if err == nil {
				w.record(event{"event": "ack value", "a": plain(args[0])})
			}
		}, "q")
	}),
	"ask for 100 ms": each(func(w *wsdServer, s *socketio.Socket) {
		s.Timeout(100*time.Millisecond).EmitFunc(func(args []sio.Value, err error) {
			e := event{"event": "ack callback", "v": nil}
			if errors.Is(err, socketio.ErrTimeout) {
				e["err"] = "operation has timed out"
			}
			w.record(e)
		}, "q")
	}),
	"first": each(func(_ *wsdServer, s *socketio.Socket) { s.Emit("first", s.Connected()) }),
	"odd values": each(func(_ *wsdServer, s *socketio.Socket) {
		s.Emit("v", nil, math.NaN(), "1970-01-01T00:00:00.000Z", struct{}{}, nil, 0, "€😀\u2028", "<>&")
	}),
	"bin": each(func(_ *wsdServer, s *socketio.Socket) { s.Emit("bin", []byte{1, 2, 3}) }),
	"small and big": each(func(_ *wsdServer, s *socketio.Socket) {
		s.Emit("small", "a")
		s.Emit("big", strings.Repeat("a", 2000))
		s.Compress(false).Emit("big-nocompress", strings.Repeat("a", 2000))
	}),

	// disconnects
	"disconnect the first": func(w *wsdServer) {
		first := true
		each(func(_ *wsdServer, s *socketio.Socket) {
			if first {
				s.Disconnect(false)
			}
			first = false
		})(w)
	},
	"bye": func(w *wsdServer) {
		w.watch(w.io.Of("/admin"))
		w.io.On("bye", func(e *socketio.Event) { e.Socket().Disconnect(true) })
	},

	// answers to events
	"hi: bin, uni": on("hi", func(e *socketio.Event) {
		e.Socket().Emit("bin", []byte{1, 2, 3})
		e.Socket().Emit("uni", "€😀")
	}),
	"hi: yo":  on("hi", func(e *socketio.Event) { e.Socket().Emit("yo") }),
	"hi: ack": on("hi", func(e *socketio.Event) { e.Ack(e.Value(0), []byte{1, 2}) }),
	"bin: got": on("bin", func(e *socketio.Event) {
		b := e.Bytes(0)
		e.Socket().Emit("got", b != nil, hex.EncodeToString(b))
	}),
	"b: concat": on("b", func(e *socketio.Event) {
		var x []byte
		var y struct{ N []byte }
		if err := e.Bind(&x, &y); err != nil {
			e.Ack(err.Error())
			return
		}
		e.Ack(append(x, y.N...))
	}),
	"q: 3, x": on("q", func(e *socketio.Event) { e.Ack([]byte{3}, "x") }),
	"q: r, 1": on("q", func(e *socketio.Event) { e.Ack("r", []byte{1}) }),
	"go": on("go", func(e *socketio.Event) {
		var n int
		if err := e.Bind(&n); err == nil {
			e.Socket().Emit("x", strings.Repeat("a", n-len(`42["x",""]`)))
		}
	}),
}

// each runs fn for every socket of the main namespace.
func each(fn func(*wsdServer, *socketio.Socket)) func(*wsdServer) {
	return func(w *wsdServer) {
		w.io.OnConnection(func(s *socketio.Socket) { fn(w, s) })
	}
}

func on(event string, fn func(*socketio.Event)) func(*wsdServer) {
	return func(w *wsdServer) { w.io.On(event, fn) }
}
