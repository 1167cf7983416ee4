package engine_test

import (
	"errors"
	"net"
	"net/http"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
)

// routed is an App with a route for each pattern, which tells its clients the
// pattern that was taken and the parameters they ask for with ?p=NAME.
func routed(patterns ...string) *engine.App {
	app := engine.New(engine.Options{Loops: 1, Logger: quiet()})
	for _, p := range patterns {
		app.WS(p, engine.Behavior{
			Upgrade: func(u *engine.Handshake) {
				said := p
				for _, name := range u.QueryValues()["p"] {
					said += " " + name + "=" + u.Param(name)
				}
				_ = u.Accept(engine.Accept{UserData: said})
			},
			Open: func(c *engine.Conn) { c.Send([]byte(c.UserData().(string)), engine.Text) },
		})
	}
	return app
}

func TestPatternsMatch(t *testing.T) {
	for _, x := range []struct{ name, path, want string }{
		{"root", "/", "/"},
		{"literal", "/echo", "/echo"},
		{"literal before wildcard", "/a/b/c", "/a/b/c"},
		{"first segment decides", "/a/x/c?p=b", "/a/{b}/c b=x"},
		{"name before rest", "/other/b/c?p=x", "/{x}/b/c x=other"},
		{"rest", "/topics/a/b/c?p=topic", "/topics/{topic...} topic=a/b/c"},
		{"empty rest", "/topics/?p=topic", "/topics/{topic...} topic="},
		{"rest of slashes", "/topics///?p=topic", "/topics/{topic...} topic=//"},
		{"nothing in place of rest", "/topics?p=topic", "/* topic="},
		{"anything", "/nowhere/at/all", "/*"},
		{"trailing slash is a segment", "/echo/", "/*"},
		{"empty segment is no name", "/a//c", "/*"},
		{"too long", "/a/b/c/d", "/*"},
		{"too short", "/a/b", "/*"},
		{"case counts", "/ECHO", "/*"},
		{"unescaped", "/a/x%20y%2Fz%C3%A9/c?p=b", "/a/{b}/c b=x y/zé"},
		{"unescaped rest", "/topics/caf%C3%A9/%25?p=topic", "/topics/{topic...} topic=café/%"},
		{"plus is no space", "/topics/a+b?p=topic", "/topics/{topic...} topic=a+b"},
		{"unknown parameter", "/topics/x?p=no", "/topics/{topic...} no="},
		{"several parameters", "/u/1/2/3/4?p=id&p=n&p=rest", "/u/{id}/{n}/{rest...} id=1 n=2 rest=3/4"},
	} {
		t.Run(x.name, func(t *testing.T) {
			// The order of registration must not matter.
			patterns := []string{"/*", "/{x}/b/c", "/a/{b}/c", "/a/b/c", "/echo", "/", "/topics/{topic...}", "/u/{id}/{n}/{rest...}"}
			for range 2 {
				addr := serve(t, routed(patterns...))
				dial(t, addr, x.path).wantText(x.want)
				for i, j := 0, len(patterns)-1; i < j; i, j = i+1, j-1 {
					patterns[i], patterns[j] = patterns[j], patterns[i]
				}
			}
		})
	}
}

func TestPathWithoutPatternIsNotFound(t *testing.T) {
	addr := serve(t, routed("/echo", "/a/{b}"))
	for _, path := range []string{"/", "/a", "/a/", "/a/b/c", "/echo2", "/ech", "/echo%2F"} {
		c := knock(t, addr, upgradeHead(path))
		if status, _, _ := c.response(); status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, status)
		}
	}
}

func TestMistakesOfRegistration(t *testing.T) {
	ws := func(patterns ...string) func(*engine.App) {
		return func(a *engine.App) {
			for _, p := range patterns {
				a.WS(p, engine.Behavior{})
			}
		}
	}
	behavior := func(b engine.Behavior) func(*engine.App) {
		return func(a *engine.App) { a.WS("/", b) }
	}
	for _, x := range []struct {
		name     string
		register func(*engine.App)
		want     error
	}{
		{"empty", ws(""), engine.ErrPattern},
		{"no slash", ws("echo"), engine.ErrPattern},
		{"star inside", ws("/*/x"), engine.ErrPattern},
		{"star in a segment", ws("/x*"), engine.ErrPattern},
		{"open brace", ws("/{x"), engine.ErrPattern},
		{"closing brace", ws("/x}"), engine.ErrPattern},
		{"no name", ws("/{}"), engine.ErrPattern},
		{"no name for rest", ws("/{...}"), engine.ErrPattern},
		{"brace in a segment", ws("/x{y}"), engine.ErrPattern},
		{"text behind a name", ws("/{x}y"), engine.ErrPattern},
		{"rest inside", ws("/{x...}/y"), engine.ErrPattern},
		{"name twice", ws("/{x}/{x}"), engine.ErrPattern},
		{"repeated", ws("/a", "/b", "/a"), engine.ErrPattern},
		{"same paths by other names", ws("/{a}/x", "/{b}/x"), engine.ErrPattern},
		{"same rests by other names", ws("/a/*", "/a/{rest...}"), engine.ErrPattern},
		{"MaxPayload", behavior(engine.Behavior{MaxPayload: -1}), engine.ErrBehavior},
		{"Compression", behavior(engine.Behavior{Compression: engine.CompressionDedicated + 1}), engine.ErrBehavior},
		{"Policy", behavior(engine.Behavior{Policy: engine.ClosePolicy + 1}), engine.ErrBehavior},
		{"handler repeated", func(a *engine.App) { a.Handle("/x", okHandler{}).Handle("/x", okHandler{}) }, engine.ErrPattern},
		{"handler's pattern", func(a *engine.App) { a.Handle("/{x", okHandler{}) }, engine.ErrPattern},
		{"mounted", func(a *engine.App) { a.Mount("/x", mounter{errMount}) }, errMount},
		{"the first counts", func(a *engine.App) { a.Mount("/x", mounter{errMount}).WS("bad", engine.Behavior{}) }, errMount},
	} {
		t.Run(x.name, func(t *testing.T) {
			app := engine.New(engine.Options{Logger: quiet()})
			x.register(app)
			if err := app.Listen("127.0.0.1:0"); !errors.Is(err, x.want) {
				t.Errorf("Listen: %v, want %v", err, x.want)
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			if err := app.Serve(l); !errors.Is(err, x.want) {
				t.Errorf("Serve: %v, want %v", err, x.want)
			}
			if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
				t.Errorf("the listener is still open: %v", err)
			}
			if len(app.Loops()) != 0 {
				t.Error("loops were started")
			}
		})
	}
}

func TestListenOnABadAddress(t *testing.T) {
	app := engine.New(engine.Options{Logger: quiet()})
	var mistake *net.OpError
	if err := app.Listen("127.0.0.1:no"); !errors.As(err, &mistake) {
		t.Errorf("got %v, want a *net.OpError", err)
	}
}

var errMount = errors.New("mount failed")

type mounter struct{ err error }

func (m mounter) Mount(*engine.App, string) error { return m.err }

func TestMountRegistersBelowItsPrefix(t *testing.T) {
	app := engine.New(engine.Options{Loops: 1, Logger: quiet()})
	app.Mount("/proto/", echoMounter{})
	addr := serve(t, app)
	c := dial(t, addr, "/proto/ws")
	c.text("mounted")
	c.wantText("mounted")
}

type echoMounter struct{}

func (echoMounter) Mount(app *engine.App, prefix string) error {
	app.WS(prefix+"ws", engine.Behavior{Message: echo})
	return nil
}
