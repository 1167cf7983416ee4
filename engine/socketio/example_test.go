package socketio_test

import (
	"context"
	"errors"
	"log"
	"regexp"

	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// A whole server.
func ExampleNew() {
	io := socketio.New(socketio.Options{})
	io.OnConnection(func(s *socketio.Socket) {
		s.Join("lobby")
		s.On("say", func(e *socketio.Event) {
			s.To("lobby").Emit("say", e.Args()...)
			e.Ack("ok")
		})
	})
	log.Fatal(engine.New(engine.Options{}).Mount("/socket.io/", io).Listen(":3000"))
}

// Middleware lets clients in, or tells them why not.
func ExampleNamespace_Use() {
	io := socketio.New(socketio.Options{})
	io.Use(func(s *socketio.Socket) error {
		var auth struct{ Token string }
		if err := s.Auth().Decode(&auth); err != nil || auth.Token == "" {
			return socketio.Refuse("not authorized", map[string]int{"code": 401})
		}
		s.SetData(auth.Token)
		return nil
	})
}

// A handler that is typed: its argument is decoded, its result acknowledges.
func ExampleOnAck() {
	type order struct {
		Item  string
		Count int
	}
	io := socketio.New(socketio.Options{})
	socketio.OnAck(io, "order", func(e *socketio.Event, o order) (string, error) {
		if o.Count < 1 {
			return "", errors.New("nothing to order")
		}
		return "order of " + o.Item + " for " + e.Socket().ID(), nil
	})
}

// Each room of a game is a namespace, made when somebody comes.
func ExampleServer_OfPattern() {
	io := socketio.New(socketio.Options{CleanupEmptyNamespaces: true})
	games := io.OfPattern(regexp.MustCompile(`^/game-\d+$`))
	games.On("move", func(e *socketio.Event) {
		e.Socket().Broadcast().Emit("move", e.Args()...)
	})
}

// A handler may block: only its own socket waits.
func ExampleSocket_EmitWithAck() {
	io := socketio.New(socketio.Options{})
	io.OnConnection(func(s *socketio.Socket) {
		answer, err := s.EmitWithAck(context.Background(), "who are you?")
		if err != nil || len(answer) == 0 {
			s.Disconnect(true)
			return
		}
		s.Join("user:" + answer[0].String())
	})
}
