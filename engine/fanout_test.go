package engine_test

import (
	"slices"
	"testing"

	"github.com/fe4bcecb/wsd/engine"
)

func TestFanOut(t *testing.T) {
	s := newScript(engine.Options{Loops: 2}, engine.Behavior{})
	addr := serve(t, s.app)
	var all []*client
	for i := range 3 {
		c := dial(t, addr, "/")
		c.text([]string{"sub a\nsub b\nsend in", "sub a\nsend in", "sub c\nsend in"}[i])
		c.wantText("in")
		all = append(all, c)
	}
	// Two messages to two subscribers, one to one; one to nobody.
	all[2].text("pub a 1\npub a 2\npub b 3\npub none 4")
	for _, want := range []string{"1", "2", "3"} {
		all[0].wantText(want)
	}
	all[1].wantText("1")
	all[1].wantText("2")
	expect := func(limit int, want ...engine.TopicFanOut) {
		t.Helper()
		if got := s.app.FanOut(limit); !slices.Equal(got, want) {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	expect(10, engine.TopicFanOut{"a", 2, 4}, engine.TopicFanOut{"b", 1, 1}, engine.TopicFanOut{"c", 1, 0})
	expect(2, engine.TopicFanOut{"a", 2, 0}, engine.TopicFanOut{"b", 1, 0})
	all[0].text("unsub a\nsend left")
	all[0].wantText("left")
	all[2].text("pub b 5")
	all[0].wantText("5")
	expect(10, engine.TopicFanOut{"b", 1, 1}, engine.TopicFanOut{"a", 1, 0}, engine.TopicFanOut{"c", 1, 0})
}
