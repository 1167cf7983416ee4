package main

import (
	"context"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

// serveNbio runs handlers in the library's pool of workers, its default.
func serveNbio(ctx context.Context, ln net.Listener, deflate bool) error {
	return runNbio(ctx, ln, deflate, nil)
}

// serveNbioInline runs handlers in the goroutine that polls.
func serveNbioInline(ctx context.Context, ln net.Listener, deflate bool) error {
	return runNbio(ctx, ln, deflate, func(f func()) { f() })
}

func runNbio(ctx context.Context, ln net.Listener, deflate bool, executor func(func())) error {
	logging.SetLevel(logging.LevelNone)
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network:                 "tcp",
		Addrs:                   []string{ln.Addr().String()},
		Listen:                  func(string, string) (net.Listener, error) { return ln, nil },
		IOMod:                   nbhttp.IOModNonBlocking,
		MaxLoad:                 1_000_000,
		NPoller:                 runtime.GOMAXPROCS(0),
		ReleaseWebsocketPayload: true,
		ServerExecutor:          executor,
		Handler:                 nbioHandler(deflate),
	})
	if err := engine.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return engine.Shutdown(stop)
}

func nbioHandler(deflate bool) http.HandlerFunc {
	upgrader := func() *websocket.Upgrader {
		u := websocket.NewUpgrader()
		u.MessageLengthLimit = maxMessage
		u.CheckOrigin = func(*http.Request) bool { return true }
		u.EnableCompression(deflate)
		return u
	}
	echo, publish := upgrader(), upgrader()
	echo.OnMessage(func(c *websocket.Conn, op websocket.MessageType, msg []byte) {
		_ = c.WriteMessage(op, msg)
	})
	publish.OnMessage(func(c *websocket.Conn, op websocket.MessageType, msg []byte) {
		t, ok := c.Session().(*topic[*websocket.Conn])
		if !ok {
			return
		}
		for _, other := range t.all() {
			if other != c {
				_ = other.WriteMessage(op, msg)
			}
		}
	})
	publish.OnClose(func(c *websocket.Conn, _ error) {
		if t, ok := c.SessionWithLock().(*topic[*websocket.Conn]); ok {
			t.leave(c)
		}
	})
	var all topics[*websocket.Conn]
	return func(w http.ResponseWriter, r *http.Request) {
		name, ok := topicOf(r.URL.Path)
		if !ok {
			_, _ = echo.Upgrade(w, r, nil)
			return
		}
		if c, err := publish.Upgrade(w, r, nil); err == nil {
			c.SetSession(all.join(name, c))
		}
	}
}
