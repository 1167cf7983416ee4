package cluster_test

import (
	"testing"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

func TestSessionWants(t *testing.T) {
	s := cluster.Session{SID: "sid", Rooms: []string{"sid", "a"}}
	event := cluster.Packet{Type: sio.Event, Payload: sio.Payload{JSON: []byte(`["e"]`)}}
	asks := event
	asks.HasID = true
	for _, tt := range []struct {
		name string
		m    cluster.Message
		want bool
	}{
		{"for everybody", cluster.Message{Kind: cluster.Broadcast, Packet: event}, true},
		{"for one of its rooms", cluster.Message{Kind: cluster.Broadcast, Packet: event, Options: cluster.Options{Rooms: []string{"b", "a"}}}, true},
		{"for other rooms", cluster.Message{Kind: cluster.Broadcast, Packet: event, Options: cluster.Options{Rooms: []string{"b"}}}, false},
		{"for everybody but another room", cluster.Message{Kind: cluster.Broadcast, Packet: event, Options: cluster.Options{Except: []string{"b"}}}, true},
		{"for everybody but itself", cluster.Message{Kind: cluster.Broadcast, Packet: event, Options: cluster.Options{Except: []string{"sid"}}}, false},
		{"for a room, but not for another of its own", cluster.Message{Kind: cluster.Broadcast, Packet: event, Options: cluster.Options{Rooms: []string{"sid"}, Except: []string{"a"}}}, false},
		{"volatile", cluster.Message{Kind: cluster.Broadcast, Packet: event, Options: cluster.Options{Flags: cluster.Flags{Volatile: true}}}, false},
		{"asking nodes", cluster.Message{Kind: cluster.Broadcast, RequestID: "r", Packet: event}, false},
		{"asking the client", cluster.Message{Kind: cluster.Broadcast, Packet: asks}, false},
		{"no broadcast", cluster.Message{Kind: cluster.SocketsJoin}, false},
	} {
		if got := s.Wants(&tt.m); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
