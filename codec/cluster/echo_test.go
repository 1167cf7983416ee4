package cluster_test

import (
	"testing"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// TestEcho has what nodes of several names and namespaces write.
func TestEcho(t *testing.T) {
	binary, err := sio.EncodePayload([]any{"e", []byte{1}})
	if err != nil {
		t.Fatal(err)
	}
	payloads := []sio.Payload{{JSON: []byte(`["e"]`)}, binary, {JSON: []byte(`["},\"uid\":\"aaaaaa\",\"nsp\":\"/\"}"]`)}}
	const uid, namespace = "aaaaaa", "/a\"<é"
	e := cluster.NewEcho(uid, namespace)
	for _, from := range []struct {
		uid, namespace string
		own            bool
	}{{uid, namespace, true}, {"aaaaab", namespace, false}, {"baaaaaa", namespace, false}, {uid, "/", false}, {"", namespace, false}} {
		for _, p := range payloads {
			m := &cluster.Message{Kind: cluster.Broadcast, UID: from.uid, Namespace: from.namespace, Packet: cluster.Packet{Type: sio.Event, Payload: p}}
			for name, write := range map[string]func([]byte, *cluster.Message) ([]byte, error){
				"sharded": cluster.AppendSharded, "streams": cluster.AppendStreams,
			} {
				b, err := write(nil, m)
				if err != nil {
					t.Fatal(err)
				}
				if got := e.Envelope(b); got != from.own {
					t.Errorf("%s, of %q in %q, %s: own is %v", name, from.uid, from.namespace, p.JSON, got)
				}
			}
			b, err := cluster.AppendClassicBroadcast(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			// The start of a broadcast does not tell the namespace: its channel does.
			if got, want := e.Broadcast(b), from.uid == uid; got != want {
				t.Errorf("classic, of %q, %s: own is %v", from.uid, p.JSON, got)
			}
		}
	}
	for _, b := range []string{"", "{", "{}", "\x93", "\x93\xa6aaaaa"} {
		if e.Broadcast([]byte(b)) || e.Envelope([]byte(b)) {
			t.Errorf("%q is taken for its own", b)
		}
	}
}
