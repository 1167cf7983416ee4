package cluster_test

import (
	"testing"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// hot is a broadcast as most are, and the same with binary data.
func hot(t testing.TB) (text, binary *cluster.Message) {
	t.Helper()
	of := func(args ...any) *cluster.Message {
		p, err := sio.EncodePayload(args)
		if err != nil {
			t.Fatal(err)
		}
		return &cluster.Message{
			Kind: cluster.Broadcast, UID: "0123456789abcdef", Namespace: "/",
			Options: cluster.Options{Rooms: []string{"a room"}},
			Packet:  cluster.Packet{Type: sio.Event, Payload: p},
		}
	}
	return of("news", "text", 1, map[string]any{"a": []int{1, 2}}), of("news", make([]byte, 100))
}

// TestAllocations bounds what the paths of a broadcast allocate.
func TestAllocations(t *testing.T) {
	text, binary := hot(t)
	room := make([]byte, 0, 1024)
	encoded := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	classic := encoded(cluster.AppendClassicBroadcast(nil, text))
	sharded := encoded(cluster.AppendSharded(nil, text))
	shardedBinary := encoded(cluster.AppendSharded(nil, binary))
	streams := encoded(cluster.AppendStreams(nil, text))
	entry, err := cluster.MakeEntry(text, false)
	if err != nil {
		t.Fatal(err)
	}
	// A message that was read is itself, its UID, its room in a list, and its
	// payload where that is not JSON already.
	for name, tt := range map[string]struct {
		want float64
		run  func() error
	}{
		"append classic":        {0, func() error { _, err := cluster.AppendClassicBroadcast(room, text); return err }},
		"append classic to nil": {1, func() error { _, err := cluster.AppendClassicBroadcast(nil, text); return err }},
		"append sharded to nil": {1, func() error { _, err := cluster.AppendSharded(nil, text); return err }},
		"append streams to nil": {1, func() error { _, err := cluster.AppendStreams(nil, binary); return err }},
		"append classic binary": {0, func() error { _, err := cluster.AppendClassicBroadcast(room, binary); return err }},
		"append sharded":        {0, func() error { _, err := cluster.AppendSharded(room, text); return err }},
		"append sharded binary": {0, func() error { _, err := cluster.AppendSharded(room, binary); return err }},
		"append streams":        {0, func() error { _, err := cluster.AppendStreams(room, text); return err }},
		"make entry":            {1, func() error { _, err := cluster.MakeEntry(text, false); return err }},
		"make entry binary":     {3, func() error { _, err := cluster.MakeEntry(binary, false); return err }},
		"parse classic":         {5, func() error { _, err := cluster.ParseClassicBroadcast(classic, "/"); return err }},
		"parse sharded":         {4, func() error { _, err := cluster.ParseSharded(sharded); return err }},
		"parse sharded binary":  {6, func() error { _, err := cluster.ParseSharded(shardedBinary); return err }},
		"parse streams":         {5, func() error { _, err := cluster.ParseStreams(streams); return err }},
		"parse entry":           {3, func() error { _, err := entry.Message("1-1"); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			got := testing.AllocsPerRun(100, func() {
				if err := tt.run(); err != nil {
					t.Fatal(err)
				}
			})
			if got > tt.want {
				t.Errorf("%v allocations, want %v at most", got, tt.want)
			}
		})
	}
}
