package cluster_test

import (
	"math"
	"reflect"
	"strconv"
	"testing"

	"github.com/fe4bcecb/wsd/codec/cluster"
)

func TestChannels(t *testing.T) {
	c := cluster.Channels{Prefix: "socket.io", Namespace: "/admin"}
	for _, tt := range []struct{ name, got, want string }{
		{"broadcast", c.Broadcast(), "socket.io#/admin#"},
		{"room", c.Room("sp ace#ü*"), "socket.io#/admin#sp ace#ü*#"},
		{"node", c.Node("0123456789abcdef"), "socket.io#/admin#0123456789abcdef#"},
		{"pattern", c.Pattern(), "socket.io#/admin#*"},
		{"request", c.Request(), "socket.io-request#/admin#"},
		{"response", c.Response(), "socket.io-response#/admin#"},
		{"node's response", c.NodeResponse("abc-_1"), "socket.io-response#/admin#abc-_1#"},
		{"escaped pattern", cluster.Channels{Prefix: "a*", Namespace: `/[x]?\`}.Pattern(), `a\*#/\[x]\?\\#*`},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, tt.got, tt.want)
		}
	}
}

func TestRoomOf(t *testing.T) {
	c := cluster.Channels{Prefix: "p", Namespace: "/n"}
	for channel, want := range map[string]struct {
		room string
		ok   bool
	}{
		"p#/n#":          {"", true},
		"p#/n#room#":     {"room", true},
		"p#/n#a#b#":      {"a#b", true},
		"p#/n##":         {"", true},
		"p#/n###":        {"#", true},
		"p#/n#room":      {"", false},
		"p#/n":           {"", false},
		"p#/nn#":         {"", false},
		"p#/nn#room#":    {"", false},
		"p#/#":           {"", false},
		"q#/n#":          {"", false},
		"p-request#/n#":  {"", false},
		"pp#/n#":         {"", false},
		"":               {"", false},
		"p#/n# #":        {" ", true},
		"p#/n#\xff\x00#": {"\xff\x00", true},
	} {
		room, ok := c.RoomOf(channel)
		if ok != want.ok || ok && room != want.room {
			t.Errorf("%q: %q, %v; want %q, %v", channel, room, ok, want.room, want.ok)
		}
	}
	for _, room := range []string{"a", "#", "a#", "", "é *"} {
		if got, ok := c.RoomOf(c.Room(room)); !ok || got != room {
			t.Errorf("%q became %q, %v", room, got, ok)
		}
	}
}

func TestID(t *testing.T) {
	for s, want := range map[string]cluster.ID{
		"0-0":                    {},
		"1795419839320-0":        {Ms: 1795419839320},
		"1-18446744073709551615": {Ms: 1, Seq: math.MaxUint64},
		"18446744073709551615-1": {Ms: math.MaxUint64, Seq: 1},
	} {
		id, err := cluster.ParseID(s)
		if err != nil || id != want || id.String() != s {
			t.Errorf("%s: %v, %v", s, id, err)
		}
	}
	for _, s := range []string{"", "-", "1", "1-", "-1", "1-1-1", "+1-1", "1-+1", "1 -1", "1-1 ", "a-1", "1-18446744073709551616", "18446744073709551616-1", "0x1-1", "1_0-1", "$", "1--1", "１-1"} {
		if id, err := cluster.ParseID(s); err != cluster.ErrID || id != (cluster.ID{}) {
			t.Errorf("%q: %v, %v", s, id, err)
		}
	}
	order := []cluster.ID{{}, {0, 1}, {1, 0}, {1, math.MaxUint64}, {2, 0}, {math.MaxUint64, math.MaxUint64}}
	for i, a := range order {
		for j, b := range order {
			if got := a.Compare(b); got < 0 != (i < j) || got > 0 != (i > j) {
				t.Errorf("%v against %v: %d", a, b, got)
			}
		}
	}
	for id, want := range map[cluster.ID]cluster.ID{
		{}:                               {0, 1},
		{5, 7}:                           {5, 8},
		{5, math.MaxUint64}:              {6, 0},
		{math.MaxUint64, math.MaxUint64}: {math.MaxUint64, math.MaxUint64},
	} {
		if got := id.Next(); got != want {
			t.Errorf("behind %v is %v, want %v", id, got, want)
		}
	}
}

func TestStreamNames(t *testing.T) {
	for count, want := range map[int][]string{
		-1: {"s"}, 0: {"s"}, 1: {"s"},
		2: {"s-0", "s-1", "s--1"},
		3: {"s-0", "s-1", "s-2", "s--1", "s--2"},
	} {
		if got := cluster.StreamNames("s", count); !reflect.DeepEqual(got, want) {
			t.Errorf("%d streams are %q, want %q", count, got, want)
		}
		if got := cluster.StreamName("s", count, "/"); count <= 1 && got != "s" {
			t.Errorf("%d streams: %s", count, got)
		}
	}
	// The hash is over UTF-16: U+1F600 is D83D DE00 there.
	want := (31*(31*'/'+0xd83d) + 0xde00) % 1000
	if got := cluster.StreamName("s", 1000, "/😀"); got != "s-"+strconv.Itoa(int(want)) {
		t.Errorf("%s, want %d", got, want)
	}
}
