package redis_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/broker/redis"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// captured is a command that one of Node's servers sent.
type captured struct {
	op               string
	command, channel string
	payload          []byte
}

// capture reads the publications of a file of the codec's.
func capture(t *testing.T, name string) (all []captured) {
	t.Helper()
	b, err := os.ReadFile("../../codec/cluster/testdata/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct {
		Operations []struct {
			Op       string
			Commands []struct{ Cmd, Channel, Payload string }
		}
	}
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatal(err)
	}
	for _, o := range f.Operations {
		for _, c := range o.Commands {
			payload, err := hex.DecodeString(c.Payload)
			if err != nil {
				t.Fatal(err)
			}
			if c.Cmd == "PUBLISH" || c.Cmd == "SPUBLISH" {
				all = append(all, captured{o.Op, c.Cmd, c.Channel, payload})
			}
		}
	}
	return all
}

// namespaceOf is that of a channel.
func namespaceOf(channel string) string {
	return strings.SplitN(channel, "#", 3)[1]
}

// addressee is the node at the end of a response's channel; "" if all get it.
func addressee(channel string) string {
	return strings.TrimSuffix(strings.SplitN(channel, "#", 3)[2], "#")
}

// read decodes a capture, and tells how it would be written again.
func (c *captured) read(o redis.Options) (m *cluster.Message, again func(*cluster.Message) ([]byte, error), err error) {
	nsp := namespaceOf(c.channel)
	switch {
	case o.Adapter == redis.Sharded:
		m, err = cluster.ParseSharded(c.payload)
		return m, func(m *cluster.Message) ([]byte, error) { return cluster.AppendSharded(nil, m) }, err
	case strings.HasPrefix(c.channel, o.Prefix+"-request#"):
		r, err := cluster.ParseClassicRequest(c.payload, nsp)
		if err == nil && (r.Answer == cluster.ClassicSockets || r.Answer == cluster.ClassicRooms) {
			err = cluster.ErrIgnored // wsd asks for all that is told of sockets
		}
		return r.Message, func(m *cluster.Message) ([]byte, error) { return cluster.AppendClassicRequest(nil, m) }, err
	case strings.HasPrefix(c.channel, o.Prefix+"-response#"):
		m, err = cluster.ParseClassicResponse(c.payload, nsp)
		answer := cluster.ClassicAcks
		if err == nil && m.Kind == cluster.FetchSocketsResponse {
			answer = cluster.ClassicFetch
		}
		if err == nil && m.Kind == cluster.ServerSideEmitResponse {
			answer = cluster.ClassicEvent
		}
		return m, func(m *cluster.Message) ([]byte, error) { return cluster.AppendClassicResponse(nil, m, answer) }, err
	}
	m, err = cluster.ParseClassicBroadcast(c.payload, nsp)
	return m, func(m *cluster.Message) ([]byte, error) { return cluster.AppendClassicBroadcast(nil, m) }, err
}

// TestClusterWire has nodes send what Node's servers were seen to send: by the
// same command, on the same channel, in the same bytes wherever the codec writes
// those.
func TestClusterWire(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]redis.Options{
		"classic":                   {Prefix: redis.DefaultPrefix},
		"classic-specific-response": {Prefix: "app1", SpecificResponses: true},
		"sharded-dynamic":           {Adapter: redis.Sharded},
		"sharded-static":            {Adapter: redis.Sharded, SubscriptionMode: redis.Static},
		"sharded-dynamic-private":   {Adapter: redis.Sharded, SubscriptionMode: redis.DynamicPrivate},
	} {
		t.Run(name, func(t *testing.T) {
			server := testkit.StartRedis(t)
			b := connect(t, server, o)
			wire := monitor(t, server)
			sent, exact := 0, 0
			for _, c := range capture(t, name) {
				m, again, err := c.read(o)
				if errors.Is(err, cluster.ErrIgnored) {
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", c.op, err)
				}
				same := false
				if text, err := again(m); err == nil {
					same = bytes.Equal(text, c.payload)
				}
				node, err := b.Cluster().Join(m.Namespace, broker.ClusterReceiver{Deliver: func(*cluster.Message) {}})
				if err != nil {
					t.Fatal(err)
				}
				theirs := m.UID
				m.UID = node.UID()
				if m.Kind.Response() {
					err = node.Respond(addressee(c.channel), m)
				} else {
					err = node.Publish(m)
				}
				node.Leave()
				if err != nil {
					t.Fatalf("%s: %v", c.op, err)
				}
				got := wire.published(t, sent+1)[sent]
				sent++
				if got[0] != c.command || got[1] != c.channel {
					t.Errorf("%s: %s %s, want %s %s", c.op, got[0], got[1], c.command, c.channel)
				}
				if same {
					exact++
					want := c.payload
					if theirs != "" {
						want = bytes.ReplaceAll(want, []byte(theirs), []byte(node.UID()))
					}
					if got[2] != string(want) {
						t.Errorf("%s:\n%q, want\n%q", c.op, got[2], want)
					}
				}
			}
			if sent < 55 || exact < sent*8/10 {
				t.Errorf("%d were sent, %d of them exactly so: too few", sent, exact)
			}
		})
	}
}
