package cluster_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/msgpack"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// dialects write and read a message each in one way. Those that do not know a
// kind return an error for it.
var dialects = []struct {
	name  string
	write func(dst []byte, m *cluster.Message) ([]byte, error)
	read  func(b []byte) (*cluster.Message, error)
}{
	{"classic broadcast", cluster.AppendClassicBroadcast, func(b []byte) (*cluster.Message, error) { return cluster.ParseClassicBroadcast(b, "/") }},
	{"classic request", cluster.AppendClassicRequest, func(b []byte) (*cluster.Message, error) {
		r, err := cluster.ParseClassicRequest(b, "/")
		return r.Message, err
	}},
	{"classic response", writeResponse, func(b []byte) (*cluster.Message, error) { return cluster.ParseClassicResponse(b, "/") }},
	{"sharded", cluster.AppendSharded, cluster.ParseSharded},
	{"streams", cluster.AppendStreams, cluster.ParseStreams},
	{"entry", func(dst []byte, m *cluster.Message) ([]byte, error) { return writeEntry(dst, m, false) }, readEntry},
	{"plain entry", func(dst []byte, m *cluster.Message) ([]byte, error) { return writeEntry(dst, m, true) }, readEntry},
}

// Their places.
const (
	classic = iota
	request
	response
	sharded
)

func writeResponse(dst []byte, m *cluster.Message) ([]byte, error) {
	answer := cluster.ClassicAcks
	switch m.Kind {
	case cluster.FetchSocketsResponse:
		answer = cluster.ClassicFetch
	case cluster.ServerSideEmitResponse:
		answer = cluster.ClassicEvent
	}
	return cluster.AppendClassicResponse(dst, m, answer)
}

// separator is between the fields of an entry that is written as bytes.
const separator = "\x00|\x00"

func writeEntry(dst []byte, m *cluster.Message, plain bool) ([]byte, error) {
	e, err := cluster.MakeEntry(m, plain)
	if err != nil {
		return dst, err
	}
	return append(dst, strings.Join([]string{e.UID, e.Namespace, e.Type, e.Data}, separator)...), nil
}

func readEntry(b []byte) (*cluster.Message, error) {
	f := append(strings.Split(string(b), separator), "", "", "", "")
	return cluster.Entry{UID: f[0], Namespace: f[1], Type: f[2], Data: f[3]}.Message("1-1")
}

// TestHarm has what must not reach any wire: a message of each kind is broken in
// each way that concerns it.
func TestHarm(t *testing.T) {
	deep := strings.Repeat("[", 1025) + strings.Repeat("]", 1025)
	breaks := map[string]func(m *cluster.Message) bool{ // false: does not concern the kind
		"no namespace":     func(m *cluster.Message) bool { m.Namespace = ""; return true },
		"no kind":          func(m *cluster.Message) bool { m.Kind = 0; return true },
		"unknown kind":     func(m *cluster.Message) bool { m.Kind = 77; return true },
		"a uid not UTF-8":  func(m *cluster.Message) bool { m.UID = "\xff"; return !m.Kind.Response() },
		"a room not UTF-8": func(m *cluster.Message) bool { m.Options.Rooms = []string{"a", "\xc3"}; return hasOptions(m) },
		"an except not UTF-8": func(m *cluster.Message) bool {
			m.Options.Except = []string{"\xed\xa0\x80"}
			return hasOptions(m)
		},
		"a joined room not UTF-8": func(m *cluster.Message) bool {
			m.Rooms = []string{"\xff"}
			return m.Kind == cluster.SocketsJoin || m.Kind == cluster.SocketsLeave
		},
		"a request id not UTF-8": func(m *cluster.Message) bool {
			m.RequestID = "\xff"
			return m.Kind.Response() || m.Kind == cluster.FetchSockets
		},
		"no request id": func(m *cluster.Message) bool {
			m.RequestID = ""
			return m.Kind.Response() || m.Kind == cluster.FetchSockets
		},
		"a count below 0": func(m *cluster.Message) bool { m.Count = -1; return m.Kind == cluster.BroadcastClientCount },
		"an id that JavaScript rounds": func(m *cluster.Message) bool {
			m.Packet.ID, m.Packet.HasID = 1<<53+1, true
			return m.Kind == cluster.Broadcast
		},
		"too high a count": func(m *cluster.Message) bool {
			m.Count = int(int64(1<<32) & int64(^uint(0)>>1)) // 0 on 32 bits
			return m.Kind == cluster.BroadcastClientCount && m.Count > 0
		},
		"a packet of no type":    func(m *cluster.Message) bool { m.Packet.Type = 0; return m.Kind == cluster.Broadcast },
		"a packet of type 50":    func(m *cluster.Message) bool { m.Packet.Type = 50; return m.Kind == cluster.Broadcast },
		"a packet of type 5":     func(m *cluster.Message) bool { m.Packet.Type = sio.BinaryEvent; return m.Kind == cluster.Broadcast },
		"a socket without id":    func(m *cluster.Message) bool { return socket(m, cluster.Socket{}) },
		"a socket's id":          func(m *cluster.Message) bool { return socket(m, cluster.Socket{ID: "\xff"}) },
		"a socket's room":        func(m *cluster.Message) bool { return socket(m, cluster.Socket{ID: "a", Rooms: []string{"\xff"}}) },
		"a socket's handshake":   func(m *cluster.Message) bool { return socket(m, cluster.Socket{ID: "a", Handshake: []byte("{")}) },
		"a socket's data":        func(m *cluster.Message) bool { return socket(m, cluster.Socket{ID: "a", Data: []byte(`{"a":1}}`)}) },
		"a missing attachment":   func(m *cluster.Message) bool { return payload(m, `["e",{"_placeholder":true,"num":1}]`, []byte{1}) },
		"a lookalike attachment": func(m *cluster.Message) bool { return payload(m, `["e",{"_placeholder":true,"num":"0"}]`, []byte{1}) },
	}
	for _, text := range []string{"", "[", "]", "[]]", `["e"`, `["e",]`, `["e"]x`, `["e",1e]`, `["e",{]`, `["e",undefined]`, "[\"e\n\"]", `["\u00"]`, `{"0":"e"}`, `"e"`, "null", "e", `["e",` + deep + `]`} {
		breaks["payload "+text[:min(len(text), 20)]] = func(m *cluster.Message) bool { return payload(m, text) }
	}
	for _, text := range []string{"[]", "[ ]", "[null]", "[true]", "[{}]", `[["e"]]`} {
		breaks["event "+text] = func(m *cluster.Message) bool { return payload(m, text) && !m.Kind.Response() }
	}
	for _, name := range []string{"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener", `conn\u0065ct`} {
		breaks["to clients: "+name] = func(m *cluster.Message) bool {
			return payload(m, `["`+name+`",1]`) && m.Kind == cluster.Broadcast
		}
	}
	for _, name := range []string{"connect", "connection", "new_namespace", "error", `\u0065rror`} {
		breaks["to servers: "+name] = func(m *cluster.Message) bool {
			return payload(m, `[ "`+name+`"]`) && m.Kind == cluster.ServerSideEmit
		}
	}
	for _, good := range complete() {
		written := 0
		for _, d := range dialects {
			if _, err := d.write(nil, &good); err == nil {
				written++
			}
		}
		if written == 0 {
			t.Errorf("no dialect writes a %v that is whole", good.Kind)
		}
		for name, spoil := range breaks {
			m := good
			if !spoil(&m) {
				continue
			}
			for _, d := range dialects {
				dst := []byte("before")
				got, err := d.write(dst, &m)
				if !errors.Is(err, cluster.ErrMessage) || string(got) != "before" {
					t.Errorf("%s, %v, %s: got %q, %v", d.name, good.Kind, name, got, err)
				}
			}
		}
	}
}

func hasOptions(m *cluster.Message) bool {
	return !m.Kind.Response() && m.Kind != cluster.ServerSideEmit && m.Kind < cluster.InitialHeartbeat
}

func socket(m *cluster.Message, s cluster.Socket) bool {
	m.Sockets = append([]cluster.Socket{{ID: "first"}}, s)
	return m.Kind == cluster.FetchSocketsResponse
}

// payload gives a message a payload, if its kind has one.
func payload(m *cluster.Message, text string, attachments ...[]byte) bool {
	p := sio.Payload{JSON: []byte(text), Attachments: attachments}
	switch m.Kind {
	case cluster.Broadcast:
		m.Packet.Payload = p
	case cluster.ServerSideEmit:
		m.Args = p
	case cluster.ServerSideEmitResponse, cluster.BroadcastAck:
		if strings.HasPrefix(text, `["e",{"_`) {
			p.JSON = []byte("[" + strings.TrimPrefix(text, `["e",`))
		}
		m.Args = p
	default:
		return false
	}
	return true
}

// TestGood has what is odd, but harms nobody: each dialect that knows the kind
// writes and reads it, and Node would bear it.
func TestGood(t *testing.T) {
	for _, text := range []string{
		`["e"]`, `[""]`, `[42]`, `[1.5e3,2]`, ` [ "e" , 1 ] `, `["connected"]`, `["e","\ud800"]`, `["e",{"__proto__":1,"":2}]`, `["e",{"_placeholder":true,"num":0}]`,
		`["e",` + strings.Repeat("[", 1010) + strings.Repeat("]", 1010) + `]`, "[\"e\",\"\xff\"]", `["e",1e999,-0,12345678901234567890]`,
	} {
		for _, m := range complete() {
			if !payload(&m, text) || text[0] == ' ' {
				continue
			}
			checkRoundTrip(t, &m)
		}
	}
	m := cluster.Message{Kind: cluster.FetchSocketsResponse, Namespace: "/", RequestID: "r", Sockets: []cluster.Socket{{ID: "a"}, {ID: "b", Rooms: []string{"", "#"}, Data: []byte("null")}}}
	checkRoundTrip(t, &m)
	m = cluster.Message{Kind: cluster.SocketsJoin, Namespace: "/", UID: "emitter"}
	checkRoundTrip(t, &m)
}

// checkRoundTrip writes a message in all dialects that have it. What was written
// must be harmless, and must be read and written again to the same bytes.
func checkRoundTrip(t *testing.T, m *cluster.Message) {
	t.Helper()
	for _, d := range dialects {
		b, err := d.write(nil, m)
		if err != nil {
			if !errors.Is(err, cluster.ErrMessage) {
				t.Errorf("%s, %v: %v", d.name, m.Kind, err)
			}
			continue
		}
		if err := harmless(d.name, b); err != nil {
			t.Errorf("%s, %v, of %.200q: %v in %.300q", d.name, m.Kind, m.Packet.Payload.JSON, err, b)
		}
		again, err := d.read(b)
		if err != nil {
			if m.Kind == cluster.ServerSideEmit && m.RequestID == "" && d.name == "classic response" {
				continue
			}
			t.Errorf("%s, %v: wrote %.300q, and reading it: %v", d.name, m.Kind, b, err)
			continue
		}
		if again.Kind != m.Kind {
			t.Errorf("%s: %v became %v", d.name, m.Kind, again.Kind)
		}
		second, err := d.write(nil, again)
		if err != nil {
			t.Errorf("%s, %v: wrote %.300q, and then %v", d.name, m.Kind, b, err)
			continue
		}
		third, err := d.read(second)
		if err != nil {
			t.Errorf("%s, %v: %v", d.name, m.Kind, err)
			continue
		}
		if got, err := d.write(nil, third); err != nil || string(got) != string(second) {
			t.Errorf("%s, %v: %.300q became %.300q, %v", d.name, m.Kind, second, got, err)
		}
	}
}

// harmless looks at a message as Node does, by other means than the package: it
// returns what would throw there.
func harmless(dialect string, b []byte) error {
	var v any
	var err error
	switch {
	case strings.HasSuffix(dialect, "entry"):
		f := strings.Split(string(b), separator)
		if f[1] == "" {
			return errors.New("no nsp")
		}
		if f[2] == "1" || f[2] == "2" || f[2] == "13" {
			return nil
		}
		data := []byte(f[3])
		if !strings.HasPrefix(f[3], "{") {
			if data, err = base64.StdEncoding.DecodeString(f[3]); err != nil {
				return err
			}
		}
		if v, err = decodeAny(data); err != nil {
			return err
		}
		var typ float64
		if _, err := fmt.Sscan(f[2], &typ); err != nil {
			return err
		}
		return harmlessData(typ, v)
	case dialect == "streams" && b[0] == '{':
		return errors.New("JSON")
	}
	if v, err = decodeAny(b); err != nil {
		return err
	}
	if dialect == "classic broadcast" {
		list, ok := v.([]any)
		if !ok || len(list) != 3 {
			return errors.New("no list of three")
		}
		return harmlessData(3, map[string]any{"packet": list[1], "opts": list[2]})
	}
	m, ok := v.(map[string]any)
	if !ok {
		return errors.New("no object")
	}
	typ, numeric := number(m["type"])
	switch dialect {
	case "classic request":
		// 2 to 7 are 4, 5, 6, 7, 9 and 3 with the same members elsewhere.
		kinds := map[float64]float64{2: 4, 3: 5, 4: 6, 5: 7, 6: 9, 7: 3}
		if kinds[typ] == 9 {
			m["packet"] = m["data"]
		}
		return harmlessData(kinds[typ], m)
	case "classic response":
		if m["requestId"] == nil {
			return errors.New("no requestId")
		}
		return nil
	}
	if !numeric {
		return errors.New("no type")
	}
	return harmlessData(typ, m["data"])
}

func decodeAny(b []byte) (v any, err error) {
	if b[0] == '{' {
		if !utf8.Valid(b) {
			return nil, errors.New("not UTF-8")
		}
		d := json.NewDecoder(strings.NewReader(string(b)))
		d.UseNumber()
		if err = d.Decode(&v); err == nil && d.More() {
			err = errors.New("more than JSON")
		}
		return v, err
	}
	return msgpack.Decode(b, msgpack.Limits{MaxDepth: 1024})
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case json.Number:
		f, err := v.Float64()
		return f, err == nil
	}
	return 0, false
}

func harmlessData(typ float64, v any) error {
	d, ok := v.(map[string]any)
	if !ok {
		return errors.New("no data")
	}
	if id, ok := d["requestId"]; ok {
		if s, ok := id.(string); !ok || s == "" {
			return errors.New("an empty requestId")
		}
	}
	switch typ {
	case 3, 4, 5, 6, 7:
		o, ok := d["opts"].(map[string]any)
		if !ok {
			return errors.New("no opts")
		}
		if !isList(o["rooms"]) || !isList(o["except"]) {
			return errors.New("rooms or except are no lists")
		}
	}
	switch typ {
	case 3:
		p, _ := d["packet"].(map[string]any)
		if n, ok := number(p["type"]); !ok || n != 2 {
			return errors.New("a packet of another type")
		}
		return harmlessEvent(p["data"], "connect connect_error disconnect disconnecting newListener removeListener")
	case 4, 5:
		if !isList(d["rooms"]) {
			return errors.New("no rooms")
		}
	case 7:
		if d["requestId"] == nil {
			return errors.New("no requestId")
		}
	case 8:
		list, ok := d["sockets"].([]any)
		for _, s := range list {
			m, _ := s.(map[string]any)
			if m["id"] == nil || !isList(m["rooms"]) {
				return errors.New("a malformed socket")
			}
		}
		if !ok {
			return errors.New("no sockets")
		}
	case 9:
		return harmlessEvent(d["packet"], "connect connection new_namespace error")
	case 11:
		if _, ok := number(d["clientCount"]); !ok {
			return errors.New("no clientCount")
		}
	}
	return nil
}

func harmlessEvent(v any, reserved string) error {
	list, _ := v.([]any)
	if len(list) == 0 {
		return errors.New("no event")
	}
	switch name := list[0].(type) {
	case string:
		if strings.Contains(" "+reserved+" ", " "+name+" ") && name != "" {
			return errors.New("a reserved name")
		}
	case int64, uint64, float64, json.Number:
	default:
		return fmt.Errorf("a name that is a %T", name)
	}
	return nil
}

// isList says whether v is a list of strings.
func isList(v any) bool {
	list, ok := v.([]any)
	for _, x := range list {
		if s, isText := x.(string); !isText || !utf8.ValidString(s) {
			return false
		}
	}
	return ok
}
