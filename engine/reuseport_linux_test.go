package engine_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// Several servers, as several processes would, listen on one port; the kernel
// gives each a share of the connections.
func TestReusePort(t *testing.T) {
	addr := fmt.Sprint("127.0.0.1:", testkit.FreePort(t))
	var apps []*engine.App
	ends := make(chan error, 2)
	for id := range 2 {
		app := engine.New(engine.Options{Loops: 1, ReusePort: true}).WS("/", engine.Behavior{
			Open: func(c *engine.Conn) { c.Send(fmt.Append(nil, id), engine.Text) },
		})
		apps = append(apps, app)
		go func() { ends <- app.Listen(addr) }()
		testkit.Eventually(t, func() bool { return app.Loops() != nil }, patience)
	}
	served := map[string]int{}
	testkit.Eventually(t, func() bool {
		c := dial(t, addr, "/")
		defer c.Close()
		served[string(c.frame().Payload)]++
		return len(served) == 2
	}, patience)
	for _, app := range apps {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := app.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	}
	for range apps {
		if err := <-ends; err != engine.ErrShutdown {
			t.Errorf("Listen: %v", err)
		}
	}
	if err := engine.New(engine.Options{}).Listen("127.0.0.1:no-port"); err == nil {
		t.Error("a bad address was listened on")
	}
}
