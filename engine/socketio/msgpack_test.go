package socketio_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/sio"
	"github.com/fe4bcecb/wsd/engine/socketio"
)

// unhex reads bytes that a client of socket.io-msgpack-parser has sent.
func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestMsgpack(t *testing.T) {
	eachMode(t, func(t *testing.T, opts socketio.Options) {
		opts.Parser = socketio.Msgpack
		srv := serve(t, opts, func(io *socketio.Server) {
			io.On("a", func(e *socketio.Event) {
				if string(e.Bytes(2)) != "\x09" || e.String(0) != "1" || !e.Value(1).IsNull() || e.Len() != 5 {
					t.Errorf("arguments %v", e.Values())
				}
				_ = e.Socket().Emit("a", e.String(0), e.Bytes(2))
			})
			io.On("q", func(e *socketio.Event) { _ = e.Ack("r", []byte{1}) })
			io.Use(func(s *socketio.Socket) error {
				if s.Auth().String() == `{"no":1}` {
					return socketio.Refuse("no", nil)
				}
				return nil
			})
		})
		c := srv.dial(t)
		c.sendBinary(unhex(t, "83a47479706500a464617461d40000a36e7370a12f"))
		if got := c.next(); !strings.Contains(got, "\xa3sid\xb4") {
			t.Fatalf("CONNECT was answered with %q", got)
		}
		c.sendBinary(unhex(t, "84a47479706502a46461746196a16101d40000c40109d7000000019aaf70da7bc7010007a76f7074696f6e7381a8636f6d7072657373c3a36e7370a12f"))
		want, err := sio.AppendMsgpackPacket(nil, sio.Header{Type: sio.Event, Namespace: "/"}, []any{"a", "1", []byte{9}})
		if err != nil {
			t.Fatal(err)
		}
		c.expect(string(want))
		c.sendBinary(unhex(t, "85a47479706502a46461746191a171a76f7074696f6e7381a8636f6d7072657373c3a2696400a36e7370a12f"))
		want, err = sio.AppendMsgpackPacket(nil, sio.Header{Type: sio.Ack, Namespace: "/", HasID: true}, []any{"r", []byte{1}})
		if err != nil {
			t.Fatal(err)
		}
		c.expect(string(want))
		// To many at once.
		if err := srv.Emit("all", []byte{2}); err != nil {
			t.Fatal(err)
		}
		want, err = sio.AppendMsgpackPacket(nil, sio.Header{Type: sio.Event, Namespace: "/"}, []any{"all", []byte{2}})
		if err != nil {
			t.Fatal(err)
		}
		c.expect(string(want))
		c.send(`42["text"]`) // is none of its packets
		c.expectClose()
	})
}
