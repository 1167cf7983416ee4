package engine_test

import (
	"context"
	"fmt"
	"log"
	"net"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// A whole server.
func ExampleNew() {
	app := engine.New(engine.Options{})
	app.WS("/*", engine.Behavior{
		MaxPayload: 16 << 10,
		Message: func(ws *engine.Conn, msg []byte, op engine.OpCode) {
			ws.Send(msg, op)
		},
	})
	log.Fatal(app.Listen(":9001"))
}

func Example() {
	app := engine.New(engine.Options{})
	app.WS("/*", engine.Behavior{
		MaxPayload: 16 << 10,
		Message: func(ws *engine.Conn, msg []byte, op engine.OpCode) {
			ws.Send(msg, op)
		},
	})

	defer app.Shutdown(context.Background())
	client := connect(serveLocally(app), "/")
	defer client.Close()
	_ = wsutil.WriteClientText(client, []byte("hello"))
	msg, _ := wsutil.ReadServerText(client)
	fmt.Printf("%s\n", msg)
	// Output: hello
}

// Each client joins the topic in its path and talks to the others there.
func ExampleConn_Publish() {
	app := engine.New(engine.Options{})
	app.WS("/topics/{topic...}", engine.Behavior{
		Upgrade: func(u *engine.Handshake) {
			u.Accept(engine.Accept{UserData: u.Param("topic")})
		},
		Open: func(ws *engine.Conn) { ws.Subscribe(ws.UserData().(string)) },
		Message: func(ws *engine.Conn, msg []byte, op engine.OpCode) {
			ws.Publish(ws.UserData().(string), msg, op)
		},
	})

	defer app.Shutdown(context.Background())
	addr := serveLocally(app)
	alice, bob := connect(addr, "/topics/news"), connect(addr, "/topics/news")
	defer alice.Close()
	defer bob.Close()
	_ = wsutil.WriteClientText(alice, []byte("good morning"))
	msg, _ := wsutil.ReadServerText(bob)
	fmt.Printf("%s\n", msg)
	// Output: good morning
}

// Work that blocks goes to a goroutine; what it has to say returns by Post.
func ExampleLoop_Post() {
	app := engine.New(engine.Options{})
	app.WS("/*", engine.Behavior{
		Message: func(ws *engine.Conn, msg []byte, op engine.OpCode) {
			name := string(msg)
			go func() {
				answer := "slowly found " + name
				ws.Loop().Post(func() { ws.Send([]byte(answer), op) })
			}()
		},
	})

	defer app.Shutdown(context.Background())
	client := connect(serveLocally(app), "/")
	defer client.Close()
	_ = wsutil.WriteClientText(client, []byte("it"))
	msg, _ := wsutil.ReadServerText(client)
	fmt.Printf("%s\n", msg)
	// Output: slowly found it
}

// serveLocally serves an App on a free port and returns its address.
func serveLocally(app *engine.App) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go app.Serve(l)
	return l.Addr().String()
}

// connect opens a WebSocket.
func connect(addr, path string) net.Conn {
	client, _, _, err := ws.Dial(context.Background(), "ws://"+addr+path)
	if err != nil {
		log.Fatal(err)
	}
	return client
}
