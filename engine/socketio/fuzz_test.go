package socketio_test

import (
	"net"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/socketio"
	"github.com/gobwas/ws"
)

// FuzzSession sends a client's packets as they come: each line is a message, one
// that begins with a b is binary. Whatever they are, the connection answers or
// ends, and others are served.
func FuzzSession(f *testing.F) {
	for _, x := range []string{
		"40\n42[\"e\",1]\n41", "40/a,{}\n42/a,7[\"ask\"]\n43/a,0[1]", "40\n40", "40\n451-[\"e\",{\"_placeholder\":true,\"num\":0}]\nbxyz",
		"4\n40", "40\n42", "40/dyn-1,\n41/dyn-1,\n40/dyn-1,", "2\n3\n5\n6", "40{\"pid\":\"x\",\"offset\":\"y\"}", "40\n42[\"bye\"]\n40", "b", "",
	} {
		f.Add(x, false)
		f.Add(x, true)
	}
	servers := map[bool]*server{}
	for _, inline := range []bool{false, true} {
		servers[inline] = serve(f, socketio.Options{Inline: inline, Recovery: &socketio.RecoveryOptions{MaxPackets: 10}}, func(io *socketio.Server) {
			pong(io)
			for _, n := range []*socketio.Namespace{io.Namespace, io.Of("/a")} {
				n.Use(func(s *socketio.Socket) error { return s.Volatile().Emit("early") })
				n.OnConnection(func(s *socketio.Socket) { _ = s.EmitFunc(func([]sio.Value, error) {}, "welcome") })
				n.On("e", func(e *socketio.Event) { _ = e.Socket().Emit("e", e.Args()...) })
				n.On("ask", func(e *socketio.Event) { _ = e.Ack(e.Args()...) })
				n.On("bye", func(e *socketio.Event) { e.Socket().Disconnect(e.Len() > 0) })
			}
		})
	}
	f.Fuzz(func(t *testing.T, script string, inline bool) {
		srv := servers[inline]
		c := srv.dial(t)
		for line := range strings.SplitSeq(script, "\n") {
			frame := ws.NewTextFrame([]byte(strings.ToValidUTF8(line, "")))
			if data, ok := strings.CutPrefix(line, "b"); ok {
				frame = ws.NewBinaryFrame([]byte(data))
			}
			// It fails once the server has closed.
			_ = ws.WriteFrame(c.conn, ws.MaskFrame(frame))
		}
		_ = ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewCloseFrame(nil)))
		for {
			op, _, err := c.frame()
			if op == ws.OpClose || err != nil {
				if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
					t.Fatal("neither an answer nor an end")
				}
				break
			}
		}
		c.conn.Close()
		other := srv.dial(t)
		defer other.conn.Close()
		other.send("40")
		for !strings.HasPrefix(other.next(), `40{"sid":`) {
		}
		other.send(`4299["ping"]`)
		for other.next() != `4399["pong"]` {
		}
	})
}
