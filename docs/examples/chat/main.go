// Chat is the smallest useful Socket.IO server: what one page says, all hear.
//
//	npm install socket.io-client
//	go run ./docs/examples/chat
package main

import (
	"embed"
	"flag"
	"log"
	"net/http"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

//go:embed index.html
var page embed.FS

func main() {
	listen := flag.String("listen", "127.0.0.1:3000", "address")
	client := flag.String("client", "node_modules/socket.io-client/dist", "folder with socket.io.js")
	flag.Parse()
	io := socketio.New(socketio.Options{})
	io.OnConnection(func(s *socketio.Socket) {
		s.On("say", func(e *socketio.Event) { _ = io.Emit("say", e.Args()...) })
	})
	app := engine.New(engine.Options{}).Mount("/socket.io/", io)
	app.Handle("/", http.FileServer(http.FS(page)))
	app.Handle("/socket.io/socket.io.js", http.StripPrefix("/socket.io/", http.FileServer(http.Dir(*client))))
	log.Fatal(app.Listen(*listen))
}
