package cluster_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/msgpack"
)

// TestRobustness reads what no adapter sends, and what a real Node server was
// seen to do with it is the measure: what its clients received has to be read,
// and all else has to be an error.
func TestRobustness(t *testing.T) {
	ignored := map[string]string{
		"broadcast channel, msgpack: packet.nsp nil (ignored)": "is for no namespace",
		"request channel: unknown type":                        "may be of a later version",
		"another nsp":                                          "the caller compares",
	}
	stricter := map[string]string{
		"broadcast channel, msgpack: packet.type 50 instead of 2": "clients close their connections",
		"broadcast channel, msgpack: packet.type 5 with a Buffer": "clients wait for an attachment",
	}
	var f struct{ Results []robustness }
	readJSON(t, "robustness.json", &f)
	if len(f.Results) < 30 {
		t.Fatalf("only %d inputs", len(f.Results))
	}
	for _, r := range f.Results {
		t.Run(r.Adapter+"/"+r.Input, func(t *testing.T) {
			events, errs := r.read(t)
			var received []string
			for _, s := range r.ClientReceived {
				if i := strings.IndexByte(s, '['); i >= 0 {
					received = append(received, s[i:])
				}
			}
			if reason := stricter[r.Input]; reason != "" {
				t.Log(reason)
				received = nil
			}
			if strings.HasPrefix(r.Input, "POISON") {
				received = append(received, `["g2"]`) // where Node stays for ever
			}
			if strings.Join(events, "") != strings.Join(received, "") {
				t.Errorf("got %q, want %q; errors %v", events, received, errs)
			}
			for _, err := range errs {
				switch {
				case ignored[r.Input] != "" || strings.Contains(r.Input, "unknown type") || strings.Contains(r.Input, "foreign"):
					if !errors.Is(err, cluster.ErrIgnored) {
						t.Errorf("error %v, want it ignored", err)
					}
				case !errors.Is(err, cluster.ErrMessage) || errors.Is(err, cluster.ErrIgnored):
					t.Errorf("error %v, want a malformed message", err)
				}
			}
		})
	}
}

// robustness is one input, and what became of it.
type robustness struct {
	Adapter, Input string
	Payload        json.RawMessage
	ClientReceived []string
}

// read reads the input, and returns the events in it and the errors.
func (r *robustness) read(t *testing.T) (events []string, errs []error) {
	t.Helper()
	add := func(m *cluster.Message, err error) {
		switch {
		case err != nil:
			errs = append(errs, err)
		case m.Kind == cluster.Broadcast && m.Namespace == "/":
			events = append(events, string(m.Packet.Payload.JSON))
		}
	}
	if r.Adapter == "streams" && len(r.Payload) > 0 {
		var entries []map[string]string
		if err := json.Unmarshal(r.Payload, &entries); err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			add(cluster.Entry{UID: e["uid"], Namespace: e["nsp"], Type: e["type"], Data: e["data"]}.Message("1-0"))
		}
		return events, errs
	}
	switch r.Adapter {
	case "classic":
		if strings.HasPrefix(r.Input, "request") {
			q, err := cluster.ParseClassicRequest(r.bytes(t), "/")
			add(q.Message, err)
			break
		}
		add(cluster.ParseClassicBroadcast(r.bytes(t), "/"))
	case "sharded":
		add(cluster.ParseSharded(r.bytes(t)))
	default:
		add(cluster.ParseStreams(r.bytes(t)))
	}
	return events, errs
}

// bytes is the input as it was sent: some is not told but in words.
func (r *robustness) bytes(t *testing.T) []byte {
	t.Helper()
	switch r.Input {
	case "broadcast channel: invalid msgpack c10102":
		return []byte{0xc1, 1, 2}
	case "request channel: invalid msgpack":
		return []byte{0xc1}
	case "not JSON, not msgpack":
		return []byte("hello")
	case "request channel: REMOTE_DISCONNECT in msgpack":
		return packed(t, map[string]any{"uid": "u", "type": 4, "opts": map[string]any{"rooms": []any{}, "except": []any{}}, "close": false})
	case "pub/sub request as JSON instead of msgpack (ignored)":
		return []byte(`{"uid":"u","nsp":"/","type":7,"data":{"requestId":"r","opts":{"rooms":[],"except":[],"flags":{}}}}`)
	case "msgpack without any binary", "plain BROADCAST over pub/sub in msgpack (accepted)":
		opts := map[string]any{"rooms": []any{}, "except": []any{}, "flags": map[string]any{}}
		packet := map[string]any{"type": 2, "data": []any{"x"}}
		return packed(t, map[string]any{"uid": "u", "nsp": "/", "type": 3, "data": map[string]any{"packet": packet, "opts": opts}})
	}
	if r.Adapter != "classic" || strings.HasPrefix(r.Input, "request") {
		var b bytes.Buffer
		if err := json.Compact(&b, r.Payload); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	return packed(t, plain(fromJSON(t, r.Payload)))
}

func packed(t *testing.T, v any) []byte {
	t.Helper()
	b, err := msgpack.Append(nil, msgpack.Notepack3, v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestStreamNamesOfNode has the streams that Node writes to, of four.
func TestStreamNamesOfNode(t *testing.T) {
	var f struct {
		StreamCount4 []struct{ Namespace, Stream, Result string }
	}
	readJSON(t, "robustness.json", &f)
	if len(f.StreamCount4) == 0 {
		t.Fatal("none")
	}
	for _, s := range f.StreamCount4 {
		if got := cluster.NodeStreamName("neg", 4, s.Namespace); got != s.Stream {
			t.Errorf("%s: Node's is %s, want %s", s.Namespace, got, s.Stream)
		}
		got := cluster.StreamName("neg", 4, s.Namespace)
		if s.Result != "LOST" && got != s.Stream || strings.Contains(got, "--") {
			t.Errorf("%s: %s, where Node has %s", s.Namespace, got, s.Stream)
		}
		if names := strings.Join(cluster.StreamNames("neg", 4), " ") + " "; !strings.Contains(names, s.Stream+" ") {
			t.Errorf("%s is not in %s", s.Stream, names)
		}
	}
}
