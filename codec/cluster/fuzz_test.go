package cluster_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/codec/sio"
)

// seeds are what Node sent, and what it would not, in the form that a dialect of
// the tests reads.
func seeds(t testing.TB) (all map[string][][]byte) {
	t.Helper()
	all = map[string][][]byte{}
	names := map[string]string{"classic": "classic broadcast", "request": "classic request", "response": "classic response", "sharded": "sharded", "streams": "streams", "XADD": "entry", "SET": "session"}
	for _, c := range captures(t) {
		for _, o := range c.operations {
			for _, x := range o.Commands {
				b, _ := hex.DecodeString(x.Payload)
				switch x.Cmd {
				case "XADD":
					e := entryOf(x.Fields)
					b = []byte(strings.Join([]string{e.UID, e.Namespace, e.Type, e.Data}, separator))
				case "SET":
					b = []byte(x.Value)
				}
				name := names[x.dialect()]
				all[name] = append(all[name], b)
			}
		}
	}
	var f struct{ Results []robustness }
	readJSON(t, "robustness.json", &f)
	for _, r := range f.Results {
		if r.Adapter == "sharded" {
			all["sharded"] = append(all["sharded"], r.Payload)
			all["classic request"] = append(all["classic request"], r.Payload)
		}
	}
	return all
}

// check reads b, which may be anything, and if it is a message writes it in all
// dialects that have its kind, and reads that again: it must be the same message,
// and harm nobody. The messages that a namespace other than "/" gets are left out
// of the classic dialects, which do not tell.
func check(t *testing.T, dialect int, b []byte) {
	t.Helper()
	m := checkRead(t, dialect, b)
	if m == nil {
		return
	}
	written := 0
	for _, d := range dialects {
		b, err := d.write(nil, m)
		if err != nil {
			if !errors.Is(err, cluster.ErrMessage) {
				t.Fatalf("%s: %v", d.name, err)
			}
			continue
		}
		written++
		if err := harmless(d.name, b); err != nil {
			t.Fatalf("%s: %v in %q", d.name, err, b)
		}
		again, err := d.read(b)
		if strings.HasPrefix(d.name, "classic") && m.Namespace != "/" {
			continue
		}
		if err != nil {
			t.Fatalf("%s: %q: %v", d.name, b, err)
		}
		same(t, d.name, m, again)
	}
	if written == 0 && !nameIsError(m) {
		t.Fatalf("nobody writes %+v", m)
	}
}

// checkRead reads b, which must be a message that is whole, or one error.
func checkRead(t *testing.T, dialect int, b []byte) *cluster.Message {
	t.Helper()
	input := bytes.Clone(b)
	m, err := dialects[dialect].read(b)
	if !bytes.Equal(b, input) {
		t.Fatal("the input was changed")
	}
	if err != nil {
		if errors.Is(err, cluster.ErrMessage) == errors.Is(err, cluster.ErrIgnored) {
			t.Fatalf("error %v is neither or both", err)
		}
		if m != nil {
			t.Fatalf("a message with the error %v", err)
		}
		return nil
	}
	if err := m.Check(); err != nil {
		t.Fatalf("%+v: %v", m, err)
	}
	return m
}

// nameIsError says whether it is what may be read, but not written.
func nameIsError(m *cluster.Message) bool {
	args := m.Args.Args()
	if len(args) == 0 {
		return false
	}
	name, _ := args[0].Str()
	return m.Kind == cluster.ServerSideEmit && name == "error"
}

// same compares a message with what became of it.
func same(t *testing.T, dialect string, m, got *cluster.Message) {
	t.Helper()
	a, b := *m, *got
	samePayload(t, dialect, a.Packet.Payload, b.Packet.Payload)
	samePayload(t, dialect, a.Args, b.Args)
	if len(a.Sockets) != len(b.Sockets) {
		t.Fatalf("%s: %d sockets became %d", dialect, len(a.Sockets), len(b.Sockets))
	}
	for i := range a.Sockets {
		x, y := a.Sockets[i], b.Sockets[i]
		sameJSON(t, dialect, x.Data, y.Data)
		sameJSON(t, dialect, x.Handshake, y.Handshake)
		if x.ID != y.ID || !reflect.DeepEqual(x.Rooms, y.Rooms) {
			t.Fatalf("%s: %v became %v", dialect, x, y)
		}
	}
	for _, x := range []*cluster.Message{&a, &b} {
		x.Packet.Payload, x.Args, x.Sockets, x.Offset = sio.Payload{}, sio.Payload{}, nil, ""
		if strings.HasPrefix(dialect, "classic re") {
			x.Options.Flags = cluster.Flags{} // requests and responses have none but with a packet
		}
		if dialect == "classic response" {
			x.UID = ""
		}
		if x.Kind >= cluster.SocketsJoin && x.Kind <= cluster.DisconnectSockets {
			x.RequestID = "" // old requests have one
		}
	}
	if !reflect.DeepEqual(a, b) {
		t.Fatalf("%s: %+v became %+v", dialect, a, b)
	}
}

func samePayload(t *testing.T, dialect string, a, b sio.Payload) {
	t.Helper()
	if len(a.Attachments) > 0 && len(b.Attachments) == 0 && (dialect == "classic request" || dialect == "classic response" || dialect == "plain entry") {
		return // there it is JSON only
	}
	if !reflect.DeepEqual(a.Attachments, b.Attachments) && len(a.Attachments)+len(b.Attachments) > 0 {
		t.Fatalf("%s: attachments %x became %x", dialect, a.Attachments, b.Attachments)
	}
	if (a.JSON == nil) != (b.JSON == nil) {
		t.Fatalf("%s: payload %q became %q", dialect, a.JSON, b.JSON)
	}
	if string(a.JSON) == "[null]" && dialect == "streams" && string(b.JSON) == "[]" {
		return
	}
	if a.JSON != nil {
		sameJSON(t, dialect, a.JSON, b.JSON)
	}
}

func sameJSON(t *testing.T, dialect string, a, b []byte) {
	t.Helper()
	var x, y any
	if json.Unmarshal(a, &x) != nil {
		if !json.Valid(a) {
			t.Fatalf("%s: %q is no JSON", dialect, a)
		}
		return // numbers out of range
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatalf("%s: %q became %q", dialect, a, b)
	}
	if !reflect.DeepEqual(x, y) {
		t.Fatalf("%s: %q became %q", dialect, a, b)
	}
}

// fuzz adds what Node sent in all dialects, so that each meets the others too.
func fuzz(f *testing.F, name string) {
	for _, list := range seeds(f) {
		for i, b := range list {
			if i < 40 {
				f.Add(b)
			}
		}
	}
	for i, d := range dialects {
		if d.name == name {
			f.Fuzz(func(t *testing.T, b []byte) { check(t, i, b) })
		}
	}
}

func FuzzClassicBroadcast(f *testing.F) { fuzz(f, "classic broadcast") }
func FuzzClassicRequest(f *testing.F)   { fuzz(f, "classic request") }
func FuzzClassicResponse(f *testing.F)  { fuzz(f, "classic response") }
func FuzzSharded(f *testing.F)          { fuzz(f, "sharded") }
func FuzzStreams(f *testing.F)          { fuzz(f, "streams") }
func FuzzEntry(f *testing.F)            { fuzz(f, "entry") }

func FuzzSession(f *testing.F) {
	for _, b := range seeds(f)["session"] {
		f.Add(b)
	}
	f.Fuzz(checkSession)
}

func checkSession(t *testing.T, b []byte) {
	t.Helper()
	s, err := cluster.ParseSession(b)
	if err != nil {
		if !errors.Is(err, cluster.ErrMessage) || s != nil {
			t.Fatalf("%v, error %v", s, err)
		}
		return
	}
	written, err := cluster.AppendSession(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	again, err := cluster.ParseSession(written)
	if err != nil {
		t.Fatal(err)
	}
	sameJSON(t, "session", s.Data, again.Data)
	s.Data, again.Data = nil, nil
	if !reflect.DeepEqual(s, again) {
		t.Fatalf("%+v became %+v", s, again)
	}
}

// FuzzAppend makes messages of anything: what is written must be read again, and
// harm nobody.
func FuzzAppend(f *testing.F) {
	for i := range complete() {
		f.Add(uint8(i+1), "uid", "room", "request", []byte(`["e",{"_placeholder":true,"num":0}]`), []byte{1}, true, int64(5))
		f.Add(uint8(i+1), "", "", "", []byte(`["error",1]`), []byte(nil), false, int64(-1))
	}
	f.Fuzz(func(t *testing.T, kind uint8, uid, room, request string, text, data []byte, flag bool, n int64) {
		p := sio.Payload{JSON: text}
		if data != nil {
			p.Attachments = [][]byte{data}
		}
		m := &cluster.Message{
			Kind: cluster.Kind(kind), UID: uid, Namespace: "/", RequestID: request,
			Options: cluster.Options{Rooms: []string{room}, Except: []string{uid}, Flags: cluster.Flags{Volatile: flag, Timeout: n, ExpectSingleResponse: !flag}},
			Packet:  cluster.Packet{Type: sio.Event, ID: uint64(n), HasID: flag, Payload: p},
			Rooms:   []string{room, request}, Close: flag, Args: p, Count: int(n),
			Sockets: []cluster.Socket{{ID: uid, Rooms: []string{room}, Data: text}},
		}
		if flag {
			m.Options.Flags.Compress = &flag
		}
		for _, d := range dialects {
			b, err := d.write([]byte("x"), m)
			if err != nil {
				if !errors.Is(err, cluster.ErrMessage) || string(b) != "x" {
					t.Fatalf("%s: %q, %v", d.name, b, err)
				}
				continue
			}
			if err := harmless(d.name, b[1:]); err != nil {
				t.Fatalf("%s: %v in %q", d.name, err, b)
			}
			if d.name == "entry" || d.name == "plain entry" {
				if strings.Contains(uid, separator) {
					continue
				}
			}
			if _, err := d.read(b[1:]); err != nil {
				t.Fatalf("%s: %v in %q", d.name, err, b)
			}
		}
	})
}

func FuzzNames(f *testing.F) {
	f.Add("socket.io", "/", "room", 3)
	f.Add("a#", "/b#", "#", 1)
	f.Fuzz(func(t *testing.T, prefix, namespace, room string, count int) {
		c := cluster.Channels{Prefix: prefix, Namespace: namespace}
		if got, ok := c.RoomOf(c.Room(room)); !ok || got != room {
			t.Fatalf("%q became %q, %v", room, got, ok)
		}
		if got, ok := c.RoomOf(c.Broadcast()); !ok || got != "" {
			t.Fatalf("the broadcast channel is %q, %v", got, ok)
		}
		count %= 100
		name, names := cluster.StreamName(prefix, count, namespace), cluster.StreamNames(prefix, count)
		for _, n := range names {
			if n == name {
				name = ""
			}
		}
		if name != "" {
			t.Fatalf("%q is not in %q", name, names)
		}
		if id, err := cluster.ParseID(room); err == nil {
			again, err := cluster.ParseID(id.String())
			if err != nil || again != id || id.Next().Compare(id) < 0 {
				t.Fatalf("%q: %v became %v, %v", room, id, again, err)
			}
		}
	})
}

// TestMutations changes what Node sent, in a fixed way each time.
func TestMutations(t *testing.T) {
	rounds := 10
	if testing.Short() {
		rounds = 1
	}
	r := rand.New(rand.NewPCG(1, 2))
	all := seeds(t)
	for i, d := range dialects {
		list := all[strings.TrimPrefix(d.name, "plain ")]
		if len(list) == 0 {
			t.Fatalf("nothing for %s", d.name)
		}
		for _, b := range list {
			for range rounds {
				check(t, i, mutate(r, b, list))
			}
		}
	}
	for _, b := range all["session"] {
		for range rounds {
			checkSession(t, mutate(r, b, all["session"]))
		}
	}
}

// mutate returns b with a few bytes changed, left out, doubled, or taken from
// another of the list.
func mutate(r *rand.Rand, b []byte, list [][]byte) []byte {
	b = bytes.Clone(b)
	for range 1 + r.IntN(4) {
		if len(b) == 0 {
			break
		}
		at := r.IntN(len(b))
		to := min(len(b), at+1+r.IntN(8))
		switch r.IntN(7) {
		case 0:
			b[at] ^= 1 << r.IntN(8)
		case 1:
			b[at] = byte(r.IntN(256))
		case 2:
			b = append(b[:at], b[to:]...)
		case 3:
			b = append(b[:to:to], b[at:]...)
		case 4:
			b = b[:at]
		case 5:
			const special = "\"[]{},:0\\\x80\x90\xc0\xc1\xc4\xd4\xdc\xdd\xdf\xff"
			b[at] = special[r.IntN(len(special))]
		default:
			other := list[r.IntN(len(list))]
			if len(other) > 0 {
				b = append(b[:at:at], other[r.IntN(len(other)):]...)
			}
		}
	}
	return b
}
