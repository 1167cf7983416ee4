package main

import (
	"compress/flate"
	"context"
	"net"
	"net/http"

	"github.com/lxzan/gws"
)

// gwsEcho answers each message with itself.
type gwsEcho struct{ gws.BuiltinEventHandler }

func (gwsEcho) OnMessage(c *gws.Conn, msg *gws.Message) {
	defer msg.Close()
	_ = c.WriteMessage(msg.Opcode, msg.Bytes())
}

// gwsPublish publishes; the topic of a connection is in its session.
type gwsPublish struct{ gws.BuiltinEventHandler }

const gwsTopicKey = "topic"

func gwsTopic(c *gws.Conn) *topic[*gws.Conn] {
	if v, ok := c.Session().Load(gwsTopicKey); ok {
		return v.(*topic[*gws.Conn])
	}
	return nil
}

func (gwsPublish) OnMessage(c *gws.Conn, msg *gws.Message) {
	defer msg.Close()
	t := gwsTopic(c)
	if t == nil {
		return
	}
	b := gws.NewBroadcaster(msg.Opcode, msg.Bytes())
	for _, other := range t.all() {
		if other != c {
			_ = b.Broadcast(other)
		}
	}
	_ = b.Close()
}

func (gwsPublish) OnClose(c *gws.Conn, _ error) {
	if t := gwsTopic(c); t != nil {
		t.leave(c)
	}
}

// serveGWS reads each connection on a goroutine of its own; text is not
// checked for UTF-8, as in the library's own benchmarks.
func serveGWS(ctx context.Context, ln net.Listener, deflate bool) error {
	option := func() *gws.ServerOption {
		return &gws.ServerOption{
			ReadMaxPayloadSize: maxMessage,
			CheckUtf8Enabled:   false,
			ParallelEnabled:    false,
			PermessageDeflate: gws.PermessageDeflate{
				Enabled:   deflate,
				Level:     flate.BestSpeed,
				Threshold: deflateThreshold,
			},
		}
	}
	echo := gws.NewUpgrader(gwsEcho{}, option())
	publish := gws.NewUpgrader(gwsPublish{}, option())
	var all topics[*gws.Conn]
	return serveHTTP(ctx, ln, func(w http.ResponseWriter, r *http.Request) {
		name, ok := topicOf(r.URL.Path)
		if !ok {
			if c, err := echo.Upgrade(w, r); err == nil {
				go c.ReadLoop()
			}
			return
		}
		if c, err := publish.Upgrade(w, r); err == nil {
			c.Session().Store(gwsTopicKey, all.join(name, c))
			go c.ReadLoop()
		}
	})
}
