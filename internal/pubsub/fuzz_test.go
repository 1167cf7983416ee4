package pubsub_test

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/pubsub"
)

// FuzzParse holds the parser against encoding/json.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		`{"op":"publish","id":1,"topic":"t","data":{"a":[1,"\u00e9"]}}`,
		`{"op":"subscribe","id":-2,"topic":"\ud83d\ude00","recover":{"offset":"1-0","x":{}},"presence":true}`,
		`{"o\u0070":"\u0070ing"}`, `{"op":"publish","topic":"t","base64":"AP8"}`, `{"op":"auth","token":"a.b.c","recover":null}`,
		` { "op" : "ping" , "id" : 7 , "id" : 8 } `, `{}`, `[]`, `{"op":1}`, `{"topic":"`, "{\"topic\":\"\xff\"}",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := pubsub.Parse(b)
		var o map[string]json.RawMessage
		if !utf8.Valid(b) || json.Unmarshal(b, &o) != nil || o == nil {
			if json.Valid(b) && !strings.HasPrefix(strings.TrimSpace(string(b)), "{") && got.OK {
				t.Fatalf("%q was taken", b)
			}
			return
		}
		if !got.OK {
			return
		}
		var op, topic, token, encoded string
		_ = json.Unmarshal(o["op"], &op)
		_ = json.Unmarshal(o["topic"], &topic)
		_ = json.Unmarshal(o["token"], &token)
		_ = json.Unmarshal(o["base64"], &encoded)
		if got.Op != op || got.Topic != topic || got.Token != token {
			t.Fatalf("%q: op %q, topic %q, token %q", b, got.Op, got.Topic, got.Token)
		}
		if got.ID != string(o["id"]) && !strings.Contains(string(b), `\`) {
			t.Fatalf("%q: id %q", b, got.ID)
		}
		if data, there := o["data"]; there && string(got.Data) != string(data) {
			t.Fatalf("%q: data %q", b, got.Data)
		}
		want, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
		if o["base64"] != nil && (err != nil || string(want) != string(got.Bytes)) {
			t.Fatalf("%q: base64 %q, want %q, %v", b, got.Bytes, want, err)
		}
	})
}

// FuzzOperations sends what no client should: nothing breaks, memory is bounded, and
// the connection answers afterwards or was closed for a reason.
func FuzzOperations(f *testing.F) {
	n := start(f, &broker.Memory{Durable: durable(8)}, func(o *pubsub.Options) {
		o.MaxTopics, o.MaxPending, o.Members = 4, 4, &broker.MemoryTopicMembers{}
	})
	f.Add([]byte("spusSPUa0123456789"))
	f.Add([]byte("SSSSSSSSSSPPPPPPPPPPUUUUUU"))
	f.Add([]byte(strings.Repeat("SpU", 40)))
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 200 {
			script = script[:200]
		}
		here := *n
		here.t = t
		c := here.connect("/?user=u")
		topics := []string{"a", "log/a", "log/b", "b", "c", "d"}
		for i, b := range script {
			topic := topics[(i+int(b))%len(topics)]
			switch b % 8 {
			case 0:
				c.send(`{"op":"subscribe","id":%d,"topic":%q,"presence":true}`, i, topic)
			case 1:
				c.send(`{"op":"subscribe","id":%d,"topic":%q,"recover":{"offset":"%d-%d"}}`, i, topic, b, i)
			case 2, 3:
				c.send(`{"op":"publish","id":%d,"topic":%q,"data":%d}`, i, topic, b)
			case 4:
				c.send(`{"op":"unsubscribe","id":%d,"topic":%q}`, i, topic)
			case 5:
				c.send(`{"op":"presence","id":%d,"topic":%q}`, i, topic)
			case 6:
				c.send(`{"op":"auth","id":%d,"token":"%x"}`, i, b)
			default:
				c.sendRaw([]byte{'{', b & 0x7f, '}'}) // what is not UTF-8 is the engine's to close
			}
		}
		c.send(`{"op":"ping","id":9999}`)
		for {
			m := c.next()
			if m["id"] == 9999.0 {
				break
			}
		}
		c.conn.Close()
		if st := n.server.Stats(); st.Subscriptions > 4*st.Connections+4 {
			t.Fatalf("%+v", st)
		}
	})
}
