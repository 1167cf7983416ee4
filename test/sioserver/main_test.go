package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.CheckLeaks(m)) }

// patience bounds everything a test waits for.
const patience = 20 * time.Second

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		says string
	}{
		{[]string{"--nosuch"}, "nosuch"},
		{[]string{"extra"}, "extra"},
		{[]string{"--parser", "xml"}, "json or msgpack"},
		{[]string{"--adapter", "classic"}, "it needs --redis-url"},
		{[]string{"--adapter", "carrier-pigeon"}, "want memory, classic, sharded or streams"},
		{[]string{"--redis-url", "redis://127.0.0.1:6379"}, "there is no Redis"},
		{[]string{"--adapter", "classic", "--redis-url", "redis://127.0.0.1:1", "--subscription-mode", "dynamic"}, "for --adapter sharded"},
		{[]string{"--adapter", "sharded", "--redis-url", "redis://127.0.0.1:1", "--subscription-mode", "x"}, "static, dynamic or dynamic-private"},
		{[]string{"--specific-responses"}, "for --adapter classic"},
		{[]string{"--adapter", "sharded", "--redis-url", "redis://127.0.0.1:1", "--stream-count", "2"}, "for --adapter streams"},
	} {
		var out strings.Builder
		if code := execute(t.Context(), tt.args, io.Discard, &out); code != exitUsage || !strings.Contains(out.String(), tt.says) {
			t.Errorf("%v: exit code %d: %s", tt.args, code, &out)
		}
	}
}

// start runs the server on a free port until the test ends.
func start(t *testing.T, args ...string) (address string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan int, 1)
	outR, outW := io.Pipe()
	errR, errW := io.Pipe()
	go func() {
		done <- execute(ctx, append(args, "--listen", "127.0.0.1:0"), outW, errW)
		outW.Close()
		errW.Close()
	}()
	t.Cleanup(func() {
		stop()
		select {
		case code := <-done:
			if code != 0 {
				t.Errorf("exit code %d", code)
			}
		case <-time.After(patience):
			t.Error("the server does not end")
		}
	})
	if _, err := fmt.Fscanf(errR, "listening on %s\n", &address); err != nil {
		t.Fatal(err)
	}
	go io.Copy(io.Discard, errR)
	var ready string
	if _, err := fmt.Fscanln(outR, &ready); err != nil || ready != "ready" {
		t.Fatalf("%q, %v", ready, err)
	}
	return address
}

// client is a WebSocket.
type client struct {
	t    *testing.T
	conn *websocket.Conn
	id   string // Socket.IO's
	nsp  string // with a comma; "" for "/"
}

func dial(t *testing.T, address, path string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws://"+address+path+"?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	c := &client{t: t, conn: conn}
	if open := c.text(); !strings.HasPrefix(open, `0{`) {
		t.Fatalf("%s", open)
	}
	return c
}

// connect is a client in a namespace, behind its event "auth".
func connect(t *testing.T, address, nsp, auth string) *client {
	t.Helper()
	c := dial(t, address, "/socket.io/")
	if nsp != "/" {
		c.nsp = nsp + ","
	}
	c.send("40" + c.nsp + auth)
	var hello struct{ SID string }
	if text := c.text(); json.Unmarshal([]byte(strings.TrimPrefix(text, "40"+c.nsp)), &hello) != nil || hello.SID == "" {
		t.Fatalf("%s", text)
	}
	c.id = hello.SID
	if auth == "" {
		auth = "{}"
	}
	c.hears(`"auth",` + auth)
	return c
}

func (c *client) send(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) read() (websocket.MessageType, string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	kind, data, err := c.conn.Read(ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	return kind, string(data)
}

func (c *client) text() string {
	c.t.Helper()
	kind, text := c.read()
	if kind != websocket.MessageText {
		c.t.Fatalf("binary %q, want text", text)
	}
	return text
}

func (c *client) hears(args string) {
	c.t.Helper()
	if text := c.text(); text != "42"+c.nsp+"["+args+"]" {
		c.t.Fatalf("heard %s, want %s", text, args)
	}
}

// call emits an event and expects its acknowledgement.
func (c *client) call(args, want string) {
	c.t.Helper()
	c.send("42" + c.nsp + "1[" + args + "]")
	if text := c.text(); text != "43"+c.nsp+"1["+want+"]" {
		c.t.Fatalf("%s: %s, want %s", args, text, want)
	}
}

func TestEvents(t *testing.T) {
	address := start(t)
	for _, nsp := range []string{"/", "/custom"} {
		c := connect(t, address, nsp, `{"token":"x","n":[1]}`)
		c.send("42" + c.nsp + `["message",1,"2",{"3":[4]}]`)
		c.hears(`"message-back",1,"2",{"3":[4]}`)
		c.call(`"message-with-ack",1,"2",{"3":[4]}`, `1,"2",{"3":[4]}`)
		c.call(`"far:data",{"name":"x"}`, "null")
		c.call(`"far:join","a"`, "null")
		c.call(`"far:rooms"`, `["`+c.id+`","a"]`)
		c.call(`"far:leave","a"`, "null")
		c.call(`"far:broadcast",7`, `{"farError":"the argument is no object"}`)
		c.call(`"far:broadcast",{"rooms":[1]}`, `{"farError":"rooms: want strings"}`)
		c.call(`"far:sse",{"event":"sse-one","args":[1]}`, "null")
		c.call(`"far:sseAck",{"event":"sse-ask"}`, `{"error":null,"responses":[]}`)
		c.call(`"far:sseLog"`, "[]")
		c.send("451-" + c.nsp + `9["message-with-ack",{"_placeholder":true,"num":0}]`)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if err := c.conn.Write(ctx, websocket.MessageBinary, []byte{1, 2}); err != nil {
			t.Fatal(err)
		}
		cancel()
		if text := c.text(); text != "461-"+c.nsp+`9[{"_placeholder":true,"num":0}]` {
			t.Fatal(text)
		}
		if kind, data := c.read(); kind != websocket.MessageBinary || data != "\x01\x02" {
			t.Fatalf("%q", data)
		}
	}
}

func TestFar(t *testing.T) {
	address := start(t)
	a, b := connect(t, address, "/", ""), connect(t, address, "/", `{"b":true}`)
	a.call(`"far:toOthers",{"event":"x","args":[1]}`, "null")
	b.hears(`"x",1`)
	a.call(`"far:socketsJoin",{"rooms":["`+b.id+`"],"to":["room"]}`, "null")
	a.call(`"far:toOthers",{"rooms":["room"],"event":"x","args":[2]}`, "null")
	b.hears(`"x",2`)
	b.call(`"far:data",{"name":"b"}`, "null")
	a.call(`"far:broadcast",{"rooms":["room"],"event":"x","args":[{"k":[1,"2"]}]}`, "null")
	b.hears(`"x",{"k":[1,"2"]}`)
	b.call(`"far:broadcast",{"except":["room"],"local":true,"event":"y","args":[]}`, "null")
	a.hears(`"y"`)

	a.send(`421["far:broadcastAck",{"rooms":["room"],"event":"ask","args":["?"]}]`)
	text := b.text()
	id := regexp.MustCompile(`^42(\d+)\["ask","\?"\]$`).FindStringSubmatch(text)
	if id == nil {
		t.Fatal(text)
	}
	b.send("43" + id[1] + `["!"]`)
	if text := a.text(); text != `431[{"error":null,"responses":["!"]}]` {
		t.Fatal(text)
	}
	a.send(`421["far:broadcastAck",{"rooms":["room"],"event":"ask","timeout":50}]`)
	b.text()
	if text := a.text(); text != `431[{"error":"operation has timed out","responses":[]}]` {
		t.Fatal(text)
	}

	a.send(`421["far:fetch",{"rooms":["room"]}]`)
	var all [1][]struct {
		ID        string
		Rooms     []string
		Data      map[string]any
		Handshake struct {
			Auth  map[string]any
			Query map[string]string
		}
	}
	text = a.text()
	if err := json.Unmarshal([]byte(strings.TrimPrefix(text, "431")), &all); err != nil || len(all[0]) != 1 {
		t.Fatalf("%s: %v", text, err)
	}
	if s := all[0][0]; s.ID != b.id || len(s.Rooms) != 2 || s.Data["name"] != "b" || s.Handshake.Auth["b"] != true || s.Handshake.Query["EIO"] != "4" {
		t.Errorf("%s", text)
	}
	a.call(`"far:fetch",{"rooms":["nobody"]}`, "[]")
	a.call(`"far:remote",{"rooms":["room"],"do":"join","to":["far"]}`, "1")
	b.call(`"far:rooms"`, `["`+b.id+`","room","far"]`)
	a.call(`"far:remote",{"rooms":["far"],"do":"leave","to":["far"]}`, "1")
	b.call(`"far:rooms"`, `["`+b.id+`","room"]`)
	a.call(`"far:remote",{"rooms":["room"],"do":"emit","event":"z","args":[3]}`, "1")
	b.hears(`"z",3`)
	a.call(`"far:remote",{"rooms":["room"],"do":"dance"}`, `{"farError":"do: \"dance\" is not emit, join, leave or disconnect"}`)
	a.call(`"far:toOthers",{"except":["room"],"event":"x","args":[]}`, "null")
	a.call(`"far:broadcast",{"rooms":["room"],"volatile":true,"compress":false,"event":"x","args":[4]}`, "null")
	b.hears(`"x",4`)
	a.call(`"far:socketsLeave",{"rooms":["room"],"to":["room"]}`, "null")
	a.call(`"far:fetch",{"rooms":["room"]}`, "[]")

	a.call(`"far:socketsDisconnect",{"rooms":["`+b.id+`"]}`, "null")
	if text := b.text(); text != "41" {
		t.Fatal(text)
	}
}

func TestEngineIOEcho(t *testing.T) {
	c := dial(t, start(t), "/engine.io/")
	c.send("4hello")
	if text := c.text(); text != "4hello" {
		t.Fatal(text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.conn.Write(ctx, websocket.MessageBinary, []byte{0, 255}); err != nil {
		t.Fatal(err)
	}
	if kind, data := c.read(); kind != websocket.MessageBinary || data != "\x00\xff" {
		t.Fatalf("%q", data)
	}
}

func TestFlagsReachTheServer(t *testing.T) {
	address := start(t, "--path", "/rt/", "--recovery", "1m", "--ping-interval", "9s", "--ping-timeout", "8s", "--max-payload", "1000")
	c := &client{t: t}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var err error
	if c.conn, _, err = websocket.Dial(ctx, "ws://"+address+"/rt/?EIO=4&transport=websocket", nil); err != nil {
		t.Fatal(err)
	}
	defer c.conn.CloseNow()
	if text := c.text(); !strings.HasSuffix(text, `"upgrades":[],"pingInterval":9000,"pingTimeout":8000,"maxPayload":1000}`) {
		t.Error(text)
	}
	c.send("40")
	if text := c.text(); !strings.Contains(text, `"pid":"`) {
		t.Error(text)
	}
}

// reaches broadcasts to a room until b hears it: its server subscribes to rooms
// without waiting.
func (c *client) reaches(b *client, room string) {
	c.t.Helper()
	heard := make(chan bool, 1)
	go func() {
		_, _, err := b.conn.Read(c.t.Context())
		heard <- err == nil
	}()
	testkit.Eventually(c.t, func() bool {
		c.call(`"far:broadcast",{"rooms":["`+room+`"],"event":"x","args":[1]}`, "null")
		return len(heard) > 0
	}, patience)
	if !<-heard {
		c.t.Fatal("the connection has ended")
	}
	c.call(`"far:broadcast",{"rooms":["`+room+`"],"event":"last","args":[]}`, "null")
	for text := ""; text != "42"+b.nsp+`["last"]`; text = b.text() {
	}
}

// Two servers of a cluster are one for their clients.
func TestRedis(t *testing.T) {
	redis := testkit.StartRedis(t)
	for _, flags := range [][]string{
		{"--adapter", "classic"},
		{"--adapter", "classic", "--specific-responses"},
		{"--adapter", "sharded"},
		{"--adapter", "sharded", "--subscription-mode", "static"},
		{"--adapter", "sharded", "--subscription-mode", "dynamic-private"},
	} {
		t.Run(strings.Join(flags, " "), func(t *testing.T) {
			flags := append(flags, "--redis-url", redis.URL())
			a := connect(t, start(t, append(flags, "--server-id", "a")...), "/", "")
			b := connect(t, start(t, append(flags, "--server-id", "b")...), "/", `{"b":true}`)
			b.call(`"far:join","room"`, "null")
			a.reaches(b, "room")
			a.call(`"far:remote",{"rooms":["`+b.id+`"],"do":"emit","event":"y","args":[2]}`, "1")
			b.hears(`"y",2`)
			a.call(`"far:sseAck",{"event":"sse-ask"}`, `{"error":null,"responses":["from-x"]}`)
			rooms := []string{a.id, b.id, "room"}
			slices.Sort(rooms)
			a.call(`"far:allRooms"`, `["`+strings.Join(rooms, `","`)+`"]`)
			b.call(`"far:user","u"`, "null")
			testkit.Eventually(t, func() bool {
				// What the server knows of users, others know soon.
				a.send(`421["far:sendToUser",{"user":"u","event":"z","args":[3]}]`)
				return a.text() == "431[null]"
			}, patience)
			b.hears(`"z",3`)
		})
	}
}

func TestRedisThatIsNotThere(t *testing.T) {
	var out strings.Builder
	args := []string{"--listen", "127.0.0.1:0", "--adapter", "classic", "--redis-url", "redis://127.0.0.1:1"}
	if code := execute(t.Context(), args, io.Discard, &out); code != exitFailure || !strings.Contains(out.String(), "127.0.0.1:1") {
		t.Errorf("exit code %d: %s", code, &out)
	}
}
