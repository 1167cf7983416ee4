package cluster_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// The files in testdata are what Node's adapters published when they were told to
// do what op says, byte for byte.

// operation is one call of Node's API, with what it made servers send.
type operation struct {
	Op       string
	Commands []command
}

// command is a PUBLISH, a SPUBLISH, an XADD or a SET.
type command struct {
	Cmd     string
	Channel string
	Payload string      // hex
	Fields  [][2]string // of an entry
	Key     string
	Value   string // of a session
	Decoded any    // what Node's own library makes of it
	streams bool   // it is the streams adapter's
}

// capture is what one cluster did.
type capture struct {
	name       string
	operations []operation
}

func readJSON(t testing.TB, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(name, err)
	}
}

// captures are all of them.
func captures(t testing.TB) (all []capture) {
	t.Helper()
	for _, name := range []string{
		"classic", "classic-specific-response", "classic-with-recovery-option", "emitter",
		"sharded-dynamic", "sharded-dynamic-private", "sharded-static", "sharded-with-recovery-option",
		"streams", "streams-options", "streams-recovery",
	} {
		var f struct{ Operations []operation }
		readJSON(t, name+".json", &f)
		all = append(all, capture{name, f.Operations})
	}
	var f struct{ Clusters map[string][]operation }
	readJSON(t, "legacy-and-mixed.json", &f)
	for name, operations := range f.Clusters {
		all = append(all, capture{name, operations})
	}
	for _, c := range all {
		for _, o := range c.operations {
			for i := range o.Commands {
				o.Commands[i].streams = strings.Contains(strings.ToLower(c.name), "streams")
			}
		}
	}
	return all
}

// notExact are the operations that wsd would have sent otherwise, with the
// reason. What they mean is compared all the same.
var notExact = map[string]string{
	"undefined, null, Date":  "no Go value is a Date or NaN: they are text and null in wsd",
	"undefined/Date next to": "no Go value is a Date",
	"undefined, Date":        "no Go value is a Date",
	"io.to(42)":              "wsd names all rooms by text",
	"emitter.":               "an emitter has another order of keys",
}

// differs says whether a command is one that wsd writes otherwise, and why.
func differs(c *capture, op string, x *command) string {
	text, _ := json.Marshal(x.Decoded)
	switch {
	case c.name == "emitter" && strings.HasPrefix(x.Channel, "socket.io#"):
		return notExact["emitter."]
	case strings.Contains(string(text), `"handshake"`) && strings.Contains(string(text), `,42,`), strings.Contains(op, "allRooms") && strings.Contains(string(text), ",42,"):
		return notExact["io.to(42)"]
	case strings.Contains(string(text), `"handshake"`) && strings.Contains(string(text), `"$bin"`):
		return "a socket's data is JSON in wsd"
	}
	for part, reason := range notExact {
		if !strings.Contains(op, part) {
			continue
		}
		if part != "io.to(42)" && x.Cmd == "XADD" && strings.HasPrefix(x.data(), "{") || part != "io.to(42)" && strings.HasPrefix(x.Payload, "7b") {
			continue // JSON has no dates: what is text there is text here
		}
		return reason
	}
	return ""
}

func (x *command) data() string {
	for _, f := range x.Fields {
		if f[0] == "data" {
			return f[1]
		}
	}
	return ""
}

// TestVectors reads every payload that Node published, compares what it means
// with what Node's libraries make of it, and writes it again: byte for byte.
func TestVectors(t *testing.T) {
	total, exact := 0, 0
	for _, c := range captures(t) {
		answers := map[string]cluster.ClassicAnswer{} // by the request's id
		for _, o := range c.operations {
			for i := range o.Commands {
				x := &o.Commands[i]
				total++
				t.Run(fmt.Sprintf("%s/%s/%d", c.name, o.Op, i), func(t *testing.T) {
					got, m := reproduce(t, x, answers)
					want := x.bytes(t)
					if m != nil {
						compareDecoded(t, m, x)
					}
					reason := differs(&c, o.Op, x)
					switch {
					case got == want && reason != "":
						t.Errorf("is the same, but listed as different: %s", reason)
					case got == want:
						exact++
					case reason == "":
						t.Errorf("got\n%q, want\n%q", got, want)
					default:
						again, _ := x.with(t, got).parse(t)
						if !reflect.DeepEqual(again, m) {
							t.Errorf("what was read is\n%+v, and when written and read again\n%+v", m, again)
						}
					}
				})
			}
		}
	}
	t.Logf("%d payloads, %d the same byte for byte", total, exact)
	if total < 450 || exact < total*8/10 {
		t.Errorf("only %d payloads, %d of them exact", total, exact)
	}
}

// bytes is what Node sent.
func (x *command) bytes(t *testing.T) string {
	t.Helper()
	switch x.Cmd {
	case "PUBLISH", "SPUBLISH":
		b, err := hex.DecodeString(x.Payload)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	case "XADD":
		return fmt.Sprint(x.Fields)
	}
	return x.Value
}

// with is the command with what wsd would send in its place.
func (x *command) with(t *testing.T, sent string) *command {
	t.Helper()
	y := *x
	switch x.Cmd {
	case "PUBLISH", "SPUBLISH":
		y.Payload = hex.EncodeToString([]byte(sent))
	case "XADD":
		m, _ := x.parse(t)
		e, err := cluster.MakeEntry(m, false)
		if err != nil {
			t.Fatal(err)
		}
		y.Fields = fieldsOf(e)
	default:
		y.Value = sent
	}
	return &y
}

func fieldsOf(e cluster.Entry) [][2]string {
	fields := [][2]string{{"uid", e.UID}, {"nsp", e.Namespace}, {"type", e.Type}}
	if e.Data != "" {
		fields = append(fields, [2]string{"data", e.Data})
	}
	return fields
}

func entryOf(fields [][2]string) (e cluster.Entry) {
	for _, f := range fields {
		switch f[0] {
		case "uid":
			e.UID = f[1]
		case "nsp":
			e.Namespace = f[1]
		case "type":
			e.Type = f[1]
		case "data":
			e.Data = f[1]
		}
	}
	return e
}

// namespace of a channel that the captures have.
func namespaceOf(channel string) string {
	_, rest, _ := strings.Cut(channel, "#")
	nsp, _, _ := strings.Cut(rest, "#")
	return nsp
}

// dialect is which adapter sent the command.
func (x *command) dialect() string {
	d, _ := x.Decoded.(map[string]any)
	_, envelope := d["nsp"]
	switch {
	case x.Cmd == "XADD" || x.Cmd == "SET":
		return x.Cmd
	case strings.Contains(x.Channel, "-request#"):
		return "request"
	case strings.Contains(x.Channel, "-response#"):
		return "response"
	case !envelope:
		return "classic"
	case x.streams:
		return "streams"
	}
	return "sharded"
}

// parse reads the command. A session has no message.
func (x *command) parse(t *testing.T) (m *cluster.Message, answer cluster.ClassicAnswer) {
	t.Helper()
	nsp := namespaceOf(x.Channel)
	var err error
	switch b, _ := hex.DecodeString(x.Payload); x.dialect() {
	case "classic":
		m, err = cluster.ParseClassicBroadcast(b, nsp)
	case "request":
		var r cluster.ClassicRequest
		r, err = cluster.ParseClassicRequest(b, nsp)
		m, answer = r.Message, r.Answer
	case "response":
		m, err = cluster.ParseClassicResponse(b, nsp)
		if errors.Is(err, cluster.ErrIgnored) {
			return nil, 0
		}
	case "sharded":
		m, err = cluster.ParseSharded(b)
	case "streams":
		m, err = cluster.ParseStreams(b)
	case "XADD":
		m, err = entryOf(x.Fields).Message("1-2")
	}
	if err != nil {
		t.Fatal(err)
	}
	return m, answer
}

// reproduce reads the command, and writes what it read.
func reproduce(t *testing.T, x *command, answers map[string]cluster.ClassicAnswer) (sent string, m *cluster.Message) {
	t.Helper()
	m, answer := x.parse(t)
	var b []byte
	var err error
	switch x.dialect() {
	case "classic":
		b, err = cluster.AppendClassicBroadcast(nil, m)
	case "request":
		d := x.Decoded.(map[string]any)
		if d["sid"] != nil || d["type"] == 0.0 || d["type"] == 1.0 {
			b = []byte(oldRequest(t, m, answer, d)) // wsd sends none of these
		} else {
			b, err = cluster.AppendClassicRequest(nil, m)
		}
		if m.RequestID != "" {
			answers[m.RequestID] = answer
		}
	case "response":
		if m == nil {
			b, err = ignoredResponse(x.Decoded.(map[string]any), answers)
			break
		}
		answer, ok := answers[m.RequestID]
		if !ok {
			t.Fatalf("answers no request")
		}
		b, err = cluster.AppendClassicResponse(nil, m, answer)
	case "sharded":
		b, err = cluster.AppendSharded(nil, m)
	case "streams":
		b, err = cluster.AppendStreams(nil, m)
	case "XADD":
		var e cluster.Entry
		e, err = cluster.MakeEntry(m, strings.Contains(x.data(), `"type":"Buffer"`))
		b = []byte(fmt.Sprint(fieldsOf(e)))
	case "SET":
		b = session(t, x)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b), m
}

// ignoredResponse writes a response that wsd has no use for itself, but gives.
func ignoredResponse(d map[string]any, answers map[string]cluster.ClassicAnswer) ([]byte, error) {
	id := d["requestId"].(string)
	m := &cluster.Message{Kind: cluster.FetchSocketsResponse, Namespace: "/", RequestID: id}
	if rooms, ok := d["rooms"].([]any); ok {
		m.Sockets = []cluster.Socket{{ID: "a", Rooms: texts(rooms[:1])}, {ID: "b", Rooms: texts(rooms)}}
	}
	return cluster.AppendClassicResponse(nil, m, answers[id])
}

// oldRequest checks a request of the versions before 8, and returns it as it was.
func oldRequest(t *testing.T, m *cluster.Message, answer cluster.ClassicAnswer, d map[string]any) string {
	t.Helper()
	want := map[float64]cluster.ClassicAnswer{0: cluster.ClassicSockets, 1: cluster.ClassicRooms, 2: cluster.ClassicDone, 3: cluster.ClassicDone, 4: cluster.ClassicDone}
	kinds := map[float64]cluster.Kind{0: cluster.FetchSockets, 1: cluster.FetchSockets, 2: cluster.SocketsJoin, 3: cluster.SocketsLeave, 4: cluster.DisconnectSockets}
	typ := d["type"].(float64)
	if m.Kind != kinds[typ] || answer != want[typ] {
		t.Errorf("type %v is %v with answer %v", typ, m.Kind, answer)
	}
	head := ""
	if uid, ok := d["uid"].(string); ok {
		head = fmt.Sprintf(`"uid":%q,`, uid)
	}
	head += fmt.Sprintf(`"requestId":%q,"type":%v`, m.RequestID, typ)
	switch {
	case d["room"] != nil:
		return fmt.Sprintf(`{%s,"sid":%q,"room":%q}`, head, m.Options.Rooms[0], m.Rooms[0])
	case d["sid"] != nil:
		return fmt.Sprintf(`{%s,"sid":%q,"close":%v}`, head, m.Options.Rooms[0], m.Close)
	case typ == 0:
		rooms, _ := json.Marshal(m.Options.Rooms)
		return fmt.Sprintf(`{%s,"rooms":%s}`, head, rooms)
	}
	return "{" + head + "}"
}

func session(t *testing.T, x *command) []byte {
	t.Helper()
	s, err := cluster.ParseSession([]byte(x.Value))
	if err != nil {
		t.Fatal(err)
	}
	d := x.Decoded.(map[string]any)
	if s.SID != d["sid"] || s.PID != d["pid"] || !reflect.DeepEqual(s.Rooms, texts(d["rooms"])) || !reflect.DeepEqual(fromJSON(t, s.Data), d["data"]) {
		t.Errorf("got %+v, want %v", s, d)
	}
	b, err := cluster.AppendSession([]byte("x"), s)
	if err != nil {
		t.Fatal(err)
	}
	return b[1:]
}

// texts are names as wsd has them.
func texts(list any) (all []string) {
	names, _ := list.([]any)
	for _, x := range names {
		all = append(all, fmt.Sprint(x))
	}
	return all
}

func fromJSON(t *testing.T, text []byte) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return v
}

// compareDecoded compares a message with what Node makes of it.
func compareDecoded(t *testing.T, m *cluster.Message, x *command) {
	t.Helper()
	w := wanted(x)
	got := map[string]any{
		"uid": m.UID, "nsp": m.Namespace, "request": m.RequestID,
		"in": m.Options.Rooms, "except": m.Options.Except, "flags": flagsOf(&m.Options.Flags),
		"rooms": m.Rooms, "close": m.Close, "count": m.Count,
		"event": valuesOf(t, m.Packet.Payload), "args": valuesOf(t, m.Args), "id": -1.0,
	}
	if m.Packet.HasID {
		got["id"] = float64(m.Packet.ID)
	}
	if m.Kind == cluster.Broadcast && m.Packet.Type != sio.Event {
		t.Errorf("the packet is a %v", m.Packet.Type)
	}
	var sockets []any
	for _, s := range m.Sockets {
		sockets = append(sockets, map[string]any{"id": s.ID, "rooms": s.Rooms, "handshake": fromJSON(t, s.Handshake), "data": fromJSON(t, s.Data)})
	}
	got["sockets"] = sockets
	for key, want := range w {
		if !reflect.DeepEqual(got[key], want) {
			t.Errorf("%s is %#v, want %#v", key, got[key], want)
		}
	}
}

// wanted is the same of what Node decoded, whatever dialect it was in.
func wanted(x *command) map[string]any {
	w := map[string]any{"uid": "", "nsp": namespaceOf(x.Channel), "request": "", "close": false, "count": 0, "id": -1.0, "event": []any(nil), "args": []any(nil), "sockets": []any(nil), "rooms": []string(nil)}
	d, _ := x.Decoded.(map[string]any)
	var typ any
	switch x.dialect() {
	case "classic":
		list := x.Decoded.([]any)
		w["uid"] = list[0]
		d = map[string]any{"packet": list[1], "opts": list[2]}
		typ = 3.0
	case "request", "response":
		typ = d["type"]
		if uid, ok := d["uid"]; ok {
			w["uid"] = uid
		}
		if sid, ok := d["sid"]; ok {
			d["opts"] = map[string]any{"rooms": []any{sid}}
			if d["room"] != nil {
				d["rooms"] = []any{d["room"]}
			}
		}
		if typ == 0.0 {
			d["opts"], d["rooms"] = map[string]any{"rooms": d["rooms"]}, nil
		}
		switch typ {
		case 6.0:
			w["args"] = plain(d["data"])
			if x.dialect() == "response" {
				w["args"] = argument(d, "data")
			}
		case 9.0:
			w["args"] = argument(d, "packet")
		}
	case "sharded", "streams":
		typ = d["type"]
		w["uid"], w["nsp"] = d["uid"], d["nsp"]
		d, _ = d["data"].(map[string]any)
	case "XADD":
		e := entryOf(x.Fields)
		w["uid"], w["nsp"] = e.UID, e.Namespace
		_, _ = fmt.Sscan(e.Type, &typ)
		typ = map[string]any{"9": 9.0, "10": 10.0, "12": 12.0}[e.Type]
	}
	if x.dialect() == "sharded" || x.dialect() == "streams" || x.dialect() == "XADD" {
		switch typ {
		case 9.0:
			w["args"] = plain(d["packet"])
		case 10.0, 12.0:
			w["args"] = argument(d, "packet")
			if x.dialect() == "streams" && d["packet"] == nil {
				w["args"] = []any{}
			}
		}
	}
	if p, ok := d["packet"].(map[string]any); ok && p["type"] == 2.0 {
		w["event"] = plain(p["data"])
		if id, ok := p["id"]; ok {
			w["id"] = id
		}
	}
	if id, ok := d["requestId"]; ok {
		w["request"] = id
	}
	o, _ := d["opts"].(map[string]any)
	w["in"], w["except"] = texts(o["rooms"]), texts(o["except"])
	w["flags"] = map[string]any{}
	if f, ok := o["flags"]; ok {
		w["flags"] = f
	}
	w["rooms"] = texts(d["rooms"])
	if c, ok := d["close"]; ok {
		w["close"] = c
	}
	if n, ok := d["clientCount"].(float64); ok {
		w["count"] = int(n)
	}
	if list, ok := d["sockets"].([]any); ok {
		w["sockets"] = sockets(list)
	}
	return w
}

// argument is the one that an acknowledgement has, or none.
func argument(d map[string]any, key string) []any {
	if v, ok := d[key]; ok {
		return []any{plain(v)}
	}
	return []any{}
}

func sockets(list []any) (all []any) {
	for _, x := range list {
		if id, ok := x.(string); ok {
			all = append(all, map[string]any{"id": id, "rooms": []string(nil), "handshake": map[string]any{}, "data": map[string]any{}})
			continue
		}
		s := x.(map[string]any)
		all = append(all, map[string]any{"id": s["id"], "rooms": texts(s["rooms"]), "handshake": s["handshake"], "data": buffers(s["data"])})
	}
	return all
}

// plain turns the notation for what JSON lacks into what wsd has for it.
func plain(v any) any {
	switch v := v.(type) {
	case []any:
		list := []any{}
		for _, x := range v {
			list = append(list, plain(x))
		}
		return list
	case map[string]any:
		for key, x := range v {
			switch key {
			case "$bin":
				b, _ := hex.DecodeString(x.(string))
				return b
			case "$date":
				return x
			case "$undefined", "$number":
				return nil
			}
		}
		m := map[string]any{}
		for key, x := range v {
			m[key] = plain(x)
		}
		return m
	}
	return v
}

// buffers is plain, with binary data as JSON has it.
func buffers(v any) any {
	switch v := plain(v).(type) {
	case []byte:
		data := []any{}
		for _, c := range v {
			data = append(data, float64(c))
		}
		return map[string]any{"type": "Buffer", "data": data}
	case map[string]any:
		for key, x := range v {
			v[key] = buffers(x)
		}
		return v
	default:
		return v
	}
}

func flagsOf(f *cluster.Flags) map[string]any {
	flags := map[string]any{}
	if f.Volatile {
		flags["volatile"] = true
	}
	if f.Compress != nil {
		flags["compress"] = *f.Compress
	}
	if f.Timeout != 0 {
		flags["timeout"] = float64(f.Timeout)
	}
	if f.ExpectSingleResponse {
		flags["expectSingleResponse"] = true
	}
	return flags
}

func valuesOf(t *testing.T, p sio.Payload) []any {
	t.Helper()
	if p.JSON == nil {
		return nil
	}
	all := []any{}
	for _, v := range p.Args() {
		x, err := v.Any()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	return all
}
