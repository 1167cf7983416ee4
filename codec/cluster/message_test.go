package cluster_test

import (
	"errors"
	"testing"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// complete has one message of each kind.
func complete() []cluster.Message {
	payload := sio.Payload{JSON: []byte(`["e",1]`)}
	return []cluster.Message{
		{Kind: cluster.Broadcast, Namespace: "/", Packet: cluster.Packet{Type: sio.Event, Payload: payload}},
		{Kind: cluster.SocketsJoin, Namespace: "/"},
		{Kind: cluster.SocketsLeave, Namespace: "/"},
		{Kind: cluster.DisconnectSockets, Namespace: "/"},
		{Kind: cluster.FetchSockets, Namespace: "/", RequestID: "r"},
		{Kind: cluster.FetchSocketsResponse, Namespace: "/", RequestID: "r", Sockets: []cluster.Socket{{ID: "s"}}},
		{Kind: cluster.ServerSideEmit, Namespace: "/", Args: payload},
		{Kind: cluster.ServerSideEmitResponse, Namespace: "/", RequestID: "r", Args: sio.Payload{JSON: []byte(`[]`)}},
		{Kind: cluster.BroadcastClientCount, Namespace: "/", RequestID: "r"},
		{Kind: cluster.BroadcastAck, Namespace: "/", RequestID: "r", Args: sio.Payload{JSON: []byte(`[]`)}},
		{Kind: cluster.InitialHeartbeat, Namespace: "/"},
		{Kind: cluster.Heartbeat, Namespace: "/"},
		{Kind: cluster.AdapterClose, Namespace: "/"},
	}
}

func TestCheck(t *testing.T) {
	last := cluster.Kind(0)
	for _, m := range complete() {
		if m.Kind != last+1 {
			t.Errorf("%v follows %v", m.Kind, last)
		}
		last = m.Kind
		if m.Kind.String() == "unknown" {
			t.Errorf("kind %d has no name", m.Kind)
		}
		if err := m.Check(); err != nil {
			t.Errorf("%v: %v", m.Kind, err)
		}
		m.Namespace = ""
		if err := m.Check(); !errors.Is(err, cluster.ErrMessage) {
			t.Errorf("%v without namespace: %v", m.Kind, err)
		}
	}
	if (last+1).String() != "unknown" || cluster.Kind(0).String() != "unknown" {
		t.Error("there is a kind beyond the last, or before the first")
	}
	kinds := complete()
	broken := map[string]cluster.Message{
		"no kind":                        {Namespace: "/"},
		"an unknown kind":                {Kind: last + 1, Namespace: "/"},
		"a broadcast of nothing":         {Kind: cluster.Broadcast, Namespace: "/", Packet: cluster.Packet{Type: sio.Event}},
		"a broadcast without a name":     {Kind: cluster.Broadcast, Namespace: "/", Packet: cluster.Packet{Type: sio.Event, Payload: sio.Payload{JSON: []byte("[]")}}},
		"a broadcast of another type":    {Kind: cluster.Broadcast, Namespace: "/", Packet: cluster.Packet{Type: sio.Ack, Payload: kinds[0].Packet.Payload}},
		"a question without id":          {Kind: cluster.FetchSockets, Namespace: "/"},
		"an answer without id":           {Kind: cluster.FetchSocketsResponse, Namespace: "/"},
		"a socket without id":            {Kind: cluster.FetchSocketsResponse, Namespace: "/", RequestID: "r", Sockets: make([]cluster.Socket, 1)},
		"a server-side event of nothing": {Kind: cluster.ServerSideEmit, Namespace: "/"},
		"an acknowledgement of nothing":  {Kind: cluster.BroadcastAck, Namespace: "/", RequestID: "r"},
		"a count below 0":                {Kind: cluster.BroadcastClientCount, Namespace: "/", RequestID: "r", Count: -1},
		"a response that is an object":   {Kind: cluster.ServerSideEmitResponse, Namespace: "/", RequestID: "r", Args: sio.Payload{JSON: []byte("{}")}},
	}
	for name, m := range broken {
		if err := m.Check(); !errors.Is(err, cluster.ErrMessage) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestResponse(t *testing.T) {
	want := map[cluster.Kind]bool{
		cluster.FetchSocketsResponse:   true,
		cluster.ServerSideEmitResponse: true,
		cluster.BroadcastClientCount:   true,
		cluster.BroadcastAck:           true,
	}
	for _, m := range complete() {
		if got := m.Kind.Response(); got != want[m.Kind] {
			t.Errorf("%v: %v", m.Kind, got)
		}
	}
}

func TestSize(t *testing.T) {
	small := cluster.Message{Kind: cluster.Broadcast}
	data := make([]byte, 1000)
	for name, m := range map[string]cluster.Message{
		"text":        {Packet: cluster.Packet{Payload: sio.Payload{JSON: data}}},
		"attachments": {Packet: cluster.Packet{Payload: sio.Payload{Attachments: [][]byte{data}}}},
		"arguments":   {Args: sio.Payload{JSON: data}},
		"rooms":       {Rooms: []string{string(data)}},
		"options":     {Options: cluster.Options{Except: []string{string(data)}}},
		"sockets":     {Sockets: []cluster.Socket{{Handshake: data[:600], Data: data[:400]}}},
	} {
		if got := m.Size() - small.Size(); got < 1000 || got > 1200 {
			t.Errorf("%s: %d bytes more, want about 1000", name, got)
		}
	}
}
