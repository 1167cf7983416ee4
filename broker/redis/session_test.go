package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func missedNames(m broker.Missed) (names []string) {
	for _, x := range m.Messages {
		names = append(names, x.Packet.Payload.Args()[0].String())
	}
	return names
}

// TestSessionKeys has sessions where Node's servers keep theirs.
func TestSessionKeys(t *testing.T) {
	ctx := context.Background()
	server := testkit.StartRedis(t)
	l := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	offset := addEntry(server, "socket.io", "/", "seen")
	s := &cluster.Session{SID: "s", PID: "p", Rooms: []string{"s", "a"}, Data: []byte(`{"n":1}`)}
	if err := l.StoreSession(s, time.Minute); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { return server.Do("EXISTS", "sio:session:p") == int64(1) }, patience)
	value, _ := server.Do("GET", "sio:session:p").(string)
	if got, err := cluster.ParseSession([]byte(value)); err != nil || got.SID != "s" || !slices.Equal(got.Rooms, s.Rooms) {
		t.Errorf("%q is %+v, %v", value, got, err)
	}
	if ttl, _ := server.Do("PTTL", "sio:session:p").(int64); ttl < 1 || ttl > 60_000 {
		t.Errorf("it ends in %d ms", ttl)
	}
	server.Do("RENAME", "sio:session:p", "sio:session:other")
	for name, value := range map[string]string{"garbage": "garbage", "none": "", "other": value, "list": "kZKT"} {
		server.Do("SET", "sio:session:"+name, value)
		if _, _, err := l.RestoreSession(ctx, name, offset); !errors.Is(err, broker.ErrNoSession) {
			t.Errorf("%s: %v, want %v", name, err, broker.ErrNoSession)
		}
	}
	// base64 of MessagePack as Node writes it: {sid: "sid", pid: "pid", rooms: ["sid"], data: {}}
	server.Do("SET", "sio:session:pid", "hKNzaWSjc2lko3BpZKNwaWSlcm9vbXORo3NpZKRkYXRhgA==")
	got, _, err := l.RestoreSession(ctx, "pid", offset)
	if err != nil || got.SID != "sid" || got.PID != "pid" || !slices.Equal(got.Rooms, []string{"sid"}) || string(got.Data) != "{}" {
		t.Errorf("%+v, %v", got, err)
	}
	if server.Do("EXISTS", "sio:session:pid") != int64(0) {
		t.Error("it is still there")
	}
}

// TestSessionTrimmed has a log that does not reach back, or not any more when it is
// read.
func TestSessionTrimmed(t *testing.T) {
	ctx := context.Background()
	server := testkit.StartRedis(t)
	l := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	s := &cluster.Session{SID: "s", PID: "p", Rooms: []string{"s"}}
	var offsets []string
	for i := range 10 {
		offsets = append(offsets, addEntry(server, "socket.io", "/", strconv.Itoa(i)))
	}
	if err := l.StoreSession(s, time.Minute); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { return server.Do("EXISTS", "sio:session:p") == int64(1) }, patience)
	server.Do("XTRIM", "socket.io", "MAXLEN", "5")
	for i, offset := range offsets[:5] {
		if _, _, err := l.RestoreSession(ctx, "p", offset); !errors.Is(err, broker.ErrNoSession) {
			t.Errorf("behind %d: %v, want %v", i, err, broker.ErrNoSession)
		}
	}
	_, missed, err := l.RestoreSession(ctx, "p", offsets[5])
	if err != nil || !slices.Equal(missedNames(missed), []string{"6", "7", "8", "9"}) || missed.Last != offsets[9] {
		t.Errorf("%q up to %s, %v", missedNames(missed), missed.Last, err)
	}

	log, err := l.openLog(ctx, offsets[5])
	if err != nil {
		t.Fatal(err)
	}
	log.pages[0].more = true // as if the page had been full
	server.Do("XTRIM", "socket.io", "MAXLEN", "0")
	if _, err := log.missed(ctx, s); !errors.Is(err, broker.ErrNoSession) {
		t.Errorf("trimmed while it is read: %v, want %v", err, broker.ErrNoSession)
	}
}

// TestSessionBounds has a client that missed more than is reasonable, and one that
// missed little of a long log.
func TestSessionBounds(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	server := testkit.StartRedis(t)
	l := follow(t, openBroker(t, server.URL(), streamsOf), "/")
	offset := addEntry(server, "socket.io", "/", "seen")
	server.Do("EVAL", `for i = 1, tonumber(ARGV[1]) do
		redis.call("XADD", KEYS[1], "*", "uid", "x", "nsp", "/", "type", "3", "data",
			'{"packet":{"type":2,"data":["e"]},"opts":{"rooms":["r"],"except":[],"flags":{}}}') end`,
		"1", "socket.io", strconv.Itoa(maxMissed+1))
	last := addEntry(server, "socket.io", "/", "end")
	many := &cluster.Session{SID: "s", PID: "p", Rooms: []string{"s", "r"}}
	if _, err := l.MissedSince(ctx, many, offset); !errors.Is(err, broker.ErrNoSession) {
		t.Errorf("%v, want %v", err, broker.ErrNoSession)
	}
	few := &cluster.Session{SID: "s", PID: "p", Rooms: []string{"s"}}
	missed, err := l.MissedSince(ctx, few, offset)
	if err != nil || !slices.Equal(missedNames(missed), []string{"end"}) || missed.Last != last {
		t.Errorf("%q up to %s, %v; want the last one, %s", missedNames(missed), missed.Last, err, last)
	}
}

// TestSessionNegative has a namespace with two streams: that which nodes read, and
// that which Node writes to.
func TestSessionNegative(t *testing.T) {
	ctx := context.Background()
	server := testkit.StartRedis(t)
	l := follow(t, openBroker(t, server.URL(), func(o *Options) {
		streamsOf(o)
		o.StreamCount = 4
	}), "/tenant-1")
	const ours, nodes = "socket.io-1", "socket.io--3"
	seen := addEntry(server, nodes, "/tenant-1", "seen")
	var last string
	for i, stream := range []string{ours, nodes, ours, nodes} {
		// The streams' ids come from one clock; what is compared must not be equal.
		testkit.Eventually(t, func() bool {
			last = addEntry(server, stream, "/tenant-1", strconv.Itoa(i))
			id, err := cluster.ParseID(last)
			before, _ := cluster.ParseID(seen)
			return err == nil && id.Ms > before.Ms
		}, patience)
		seen = last
	}
	offset := seen
	for i, stream := range []string{ours, nodes, ours, nodes} {
		testkit.Eventually(t, func() bool {
			id, _ := cluster.ParseID(last)
			return uint64(time.Now().UnixMilli()) > id.Ms
		}, patience)
		last = addEntry(server, stream, "/tenant-1", "missed "+strconv.Itoa(i))
	}
	s := &cluster.Session{SID: "s", PID: "p", Rooms: []string{"s"}}
	missed, err := l.MissedSince(ctx, s, offset)
	if want := []string{"missed 0", "missed 1", "missed 2", "missed 3"}; err != nil || !slices.Equal(missedNames(missed), want) || missed.Last != last {
		t.Errorf("%q up to %s, %v; want %q, %s", missedNames(missed), missed.Last, err, want, last)
	}
	more, err := l.MissedSince(ctx, s, missed.Last)
	if err != nil || len(more.Messages) > 0 || more.Last != missed.Last {
		t.Errorf("%+v, %v", more, err)
	}
	log, err := l.openLog(ctx, last)
	if err != nil {
		t.Fatal(err)
	}
	between := addEntry(server, ours, "/tenant-1", "between") // that stream has been read
	testkit.Eventually(t, func() bool {
		id, _ := cluster.ParseID(between)
		return uint64(time.Now().UnixMilli()) > id.Ms
	}, patience)
	last = addEntry(server, nodes, "/tenant-1", "behind")
	if both, err := log.missed(ctx, s); err != nil || !slices.Equal(missedNames(both), []string{"between", "behind"}) || both.Last != last {
		t.Errorf("%q up to %s, %v; want up to %s", missedNames(both), both.Last, err, last)
	}
	server.Do("XTRIM", ours, "MAXLEN", "1")
	if _, err := l.MissedSince(ctx, s, offset); !errors.Is(err, broker.ErrNoSession) {
		t.Errorf("the other stream was trimmed: %v, want %v", err, broker.ErrNoSession)
	}
}
