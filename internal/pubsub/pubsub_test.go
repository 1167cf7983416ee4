package pubsub_test

import (
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/pubsub"
)

func durable(messages int) func(string) (broker.Retention, bool) {
	return func(topic string) (broker.Retention, bool) {
		return broker.Retention{Messages: messages}, strings.HasPrefix(topic, "log/")
	}
}

// TestPublish has messages pass between clients of the protocol and bare ones.
func TestPublish(t *testing.T) {
	for name, b := range map[string]broker.Topics{"alone": nil, "memory": &broker.Memory{}} {
		t.Run(name, func(t *testing.T) {
			n := start(t, b, nil)
			a, c := n.connect("/"), n.connect("/")
			a.send(`{"op":"subscribe","id":1,"topic":"t"}`)
			a.expect(`{"op":"ok","id":1}`)
			c.send(`{"op":"subscribe","id":1,"topic":"t"}`)
			c.expect(`{"op":"ok","id":1}`)
			bare := n.dial("/bare/t")

			a.send(`{"op":"publish","id":2,"topic":"t","data":{"a": [1, "\u00e9"]}}`)
			var got [2]string
			for i := range got {
				got[i] = a.text()
			}
			if m := `{"op":"message","topic":"t","data":{"a": [1, "\u00e9"]}}`; got[0] != m && got[1] != m {
				t.Errorf("%q: want %s", got, m)
			}
			if ok := `{"op":"ok","id":2}`; got[0] != ok && got[1] != ok {
				t.Errorf("%q: want %s", got, ok)
			}
			c.expect(`{"op":"message","topic":"t","data":{"a": [1, "\u00e9"]}}`)
			if text := bare.text(); text != `{"a": [1, "\u00e9"]}` {
				t.Errorf("bare: %s", text)
			}
			bare.send(`plain "text"`)
			c.expect(`{"op":"message","topic":"t","data":"plain \"text\""}`)
			c.send(`{"op":"publish","topic":"t","base64":"AP8="}`)
			c.expect(`{"op":"message","topic":"t","base64":"AP8="}`)
			if text := bare.text(); text != "\x00\xff" {
				t.Errorf("bare: %q", text)
			}
			c.send(`{"op":"unsubscribe","id":7,"topic":"t"}`)
			c.expect(`{"op":"ok","id":7}`)
			c.send(`{"op":"publish","id":8,"topic":"t","data":1}`)
			c.expect(`{"op":"ok","id":8}`)
			c.send(`{"op":"ping","id":9}`)
			c.expect(`{"op":"ok","id":9}`)
		})
	}
}

// TestRefusals has each mistake answered with its code.
func TestRefusals(t *testing.T) {
	n := start(t, nil, func(o *pubsub.Options) { o.MaxTopics, o.MaxPayload = 2, 100 })
	c := n.connect("/?user=eve")
	c.send(`{"op":"subscribe","id":1,"topic":"one"}`)
	c.expect(`{"op":"ok","id":1}`)
	for _, tt := range []struct{ sent, want string }{
		{`{`, `{"op":"error","code":"bad_request","message":"the message is not JSON"}`},
		{`[]`, `{"op":"error","code":"bad_request","message":"the message is no JSON object"}`},
		{`{"id":3}`, `{"op":"error","id":3,"code":"bad_request","message":"*"}`},
		{`{"op":1,"id":3}`, `{"op":"error","id":3,"code":"bad_request","message":"*"}`},
		{`{"op":"dance","id":4}`, `{"op":"error","id":4,"code":"unknown_op","message":"*"}`},
		{`{"op":"ping","id":"x"}`, `{"op":"error","code":"bad_request","message":"*"}`},
		{`{"op":"ping","id":1.5}`, `{"op":"error","code":"bad_request","message":"*"}`},
		{`{"op":"ping","id":123456789012345678901}`, `{"op":"error","code":"bad_request","message":"*"}`},
		{`{"op":"subscribe","id":5}`, `{"op":"error","id":5,"code":"bad_request","message":"*"}`},
		{`{"op":"subscribe","id":5,"topic":7}`, `{"op":"error","id":5,"code":"bad_request","message":"*"}`},
		{`{"op":"subscribe","id":5,"topic":"` + strings.Repeat("x", 1025) + `"}`, `{"op":"error","id":5,"code":"bad_request","message":"*"}`},
		{`{"op":"subscribe","id":5,"topic":"one"}`, `{"op":"error","id":5,"code":"bad_request","message":"subscribed already"}`},
		{`{"op":"subscribe","id":5,"topic":"two","recover":{}}`, `{"op":"error","id":5,"code":"bad_request","message":"*"}`},
		{`{"op":"subscribe","id":5,"topic":"two","recover":{"offset":"yesterday"}}`, `{"op":"error","id":5,"code":"bad_request","message":"*"}`},
		{`{"op":"subscribe","id":5,"topic":"secret/x"}`, `{"op":"error","id":5,"code":"forbidden","message":"*"}`},
		{`{"op":"publish","id":6,"topic":"eve"}`, `{"op":"error","id":6,"code":"bad_request","message":"*"}`},
		{`{"op":"publish","id":6,"topic":"eve","data":1,"base64":""}`, `{"op":"error","id":6,"code":"bad_request","message":"*"}`},
		{`{"op":"publish","id":6,"topic":"eve","base64":"!"}`, `{"op":"error","id":6,"code":"bad_request","message":"*"}`},
		{`{"op":"publish","id":6,"topic":"adam","data":1}`, `{"op":"error","id":6,"code":"forbidden","message":"*"}`},
		{`{"op":"publish","id":6,"topic":"eve","data":"` + strings.Repeat("x", 99) + `"}`, `{"op":"error","id":6,"code":"too_large","message":"*"}`},
		{`{"op":"subscribe","id":5,"recover":{"offset":5},"topic":"log/a"}`, `{"op":"error","id":5,"code":"bad_request","message":"*"}`},
		{`{"op":"publish","id":"x","topic":"eve","data":1}`, `{"op":"error","code":"bad_request","message":"*"}`},
		{`{"op":"publish","id":6,"base64":"!","topic":"eve","data":1}`, `{"op":"error","id":6,"code":"bad_request","message":"*"}`},
		{`{"op":"ping","topic":7,"token":"x","id":6}`, `{"op":"error","id":6,"code":"bad_request","message":"*"}`},
		{`{"op":"ping","id":1.5,"token":"x"}`, `{"op":"error","code":"bad_request","message":"*"}`},
		{`{"op":"auth","id":7}`, `{"op":"error","id":7,"code":"bad_request","message":"*"}`},
		{`{"op":"auth","id":7,"token":"x"}`, `{"op":"error","id":7,"code":"bad_request","message":"*"}`},
		{`{"op":"subscribe","id":8,"topic":"two","more":{"x":[]}}`, `{"op":"ok","id":8}`},
		{`{"op":"subscribe","id":9,"topic":"three"}`, `{"op":"error","id":9,"code":"limit","message":"*"}`},
		{`{"op":"unsubscribe","id":9,"topic":"never"}`, `{"op":"ok","id":9}`},
	} {
		c.send("%s", tt.sent)
		got := c.text()
		if !matches(got, tt.want) {
			t.Errorf("%.60s\n got %s\nwant %s", tt.sent, got, tt.want)
		}
	}
	if st := n.server.Stats(); st.Errors["forbidden"] != 2 || st.Errors["limit"] != 1 || st.Subscriptions != 2 {
		t.Errorf("%+v", st)
	}
}

// TestRecovery subscribes where a client left off.
func TestRecovery(t *testing.T) {
	n := start(t, &broker.Memory{Durable: durable(10)}, nil)
	c := n.connect("/")
	c.send(`{"op":"subscribe","id":1,"topic":"log/a"}`)
	c.expect(`{"op":"ok","id":1,"offset":"0-0"}`)
	c.send(`{"op":"publish","id":2,"topic":"log/a","data":1}`)
	first := c.expect(`{"op":"message","topic":"log/a","data":1,"offset":"*-1"}`)
	ok := c.expect(`{"op":"ok","id":2,"offset":"*-1"}`)
	if ok["offset"] != first["offset"] {
		t.Errorf("%v, %v", ok, first)
	}
	bare := n.dial("/bare/log/a")
	bare.send("2")
	second := c.expect(`{"op":"message","topic":"log/a","data":2,"offset":"*-2"}`)

	late := n.connect("/")
	late.send(`{"op":"subscribe","id":1,"topic":"log/a","recover":{"offset":"%s"}}`, first["offset"])
	late.expect(`{"op":"message","topic":"log/a","data":2,"offset":"*-2"}`)
	late.expect(`{"op":"ok","id":1,"offset":"` + second["offset"].(string) + `","recovered":true}`)
	for i := 3; i <= 14; i++ {
		bare.send("%d", i)
		late.expect(`{"op":"message","topic":"log/a","data":*,"offset":"*"}`)
	}

	later := n.connect("/")
	later.send(`{"op":"subscribe","id":1,"topic":"log/a","recover":{"offset":"%s"}}`, first["offset"])
	later.expect(`{"op":"gap","topic":"log/a","reason":"trimmed"}`)
	for range 10 {
		later.expect(`{"op":"message","topic":"log/a","data":*,"offset":"*"}`)
	}
	later.expect(`{"op":"ok","id":1,"offset":"*-14","recovered":false}`)

	plain := n.connect("/")
	plain.send(`{"op":"subscribe","id":1,"topic":"plain","recover":{"offset":"%s"}}`, first["offset"])
	plain.expect(`{"op":"gap","topic":"plain","reason":"trimmed"}`)
	plain.expect(`{"op":"ok","id":1,"recovered":false}`)
	st := n.server.Stats()
	if st.Recoveries["complete"] != 1 || st.Recoveries["incomplete"] != 2 || st.Gaps["trimmed"] != 2 {
		t.Errorf("%+v", st)
	}
}

// TestLogThatBeganAnew has a client read a log that has begun anew before the broker
// tells of that: it gets nothing twice. One that was live is told.
func TestLogThatBeganAnew(t *testing.T) {
	spy := &logs{Topics: &broker.Memory{Durable: durable(10)}, before: func(string) {}, after: func(broker.History) {}}
	n := start(t, spy, nil)
	lives := n.connect("/")
	lives.send(`{"op":"subscribe","id":1,"topic":"log/a"}`)
	lives.expect(`{"op":"ok","id":1,"offset":"0-0"}`)
	offset := n.publish("log/a", []byte("1"))
	lives.expect(`{"op":"message","topic":"log/a","data":1,"offset":"*"}`)

	recovers, begins := n.connect("/"), n.connect("/")
	recovers.send(`{"op":"subscribe","id":1,"topic":"log/a","recover":{"offset":"0-0"}}`)
	recovers.expect(`{"op":"message","topic":"log/a","data":1,"offset":"*"}`)
	recovers.expect(`{"op":"ok","id":1,"offset":"*","recovered":true}`)
	begins.send(`{"op":"subscribe","id":1,"topic":"log/a"}`)
	begins.expect(`{"op":"ok","id":1,"offset":"` + offset + `"}`)

	n.server.Gap("log/a", broker.Gap{Reason: broker.Restarted, Lost: -1})
	spy.r.Own(broker.Message{Topic: "log/a", Data: []byte("1"), Offset: offset})
	n.publish("log/a", []byte("2"))
	lives.expect(`{"op":"gap","topic":"log/a","reason":"reconnected"}`)
	lives.expect(`{"op":"message","topic":"log/a","data":1,"offset":"*"}`)
	for _, c := range []*client{lives, recovers, begins} {
		c.expect(`{"op":"message","topic":"log/a","data":2,"offset":"*"}`)
	}
}
