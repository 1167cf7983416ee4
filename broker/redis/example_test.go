package redis_test

import (
	"context"
	"log"

	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/engine"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// A server whose sockets are in one cluster with those of Node servers.
func Example() {
	b, err := redis.Open(context.Background(), redis.Options{
		URLs:    []string{"redis://127.0.0.1:6379"},
		Server:  "ws1",
		Adapter: redis.Streams,
	})
	if err != nil {
		log.Fatal(err)
	}
	io := socketio.New(socketio.Options{
		Cluster:  b.Cluster(),
		Presence: b.Presence(),
		ServerID: "ws1",
		Recovery: &socketio.RecoveryOptions{},
	})
	app := engine.New(engine.Options{Broker: b.Topics()})
	log.Fatal(app.Mount("/socket.io/", io).Listen(":3000"))
}
