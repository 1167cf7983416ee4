package redis

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestSummaries(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	summaries(t, r.URL(), r)
}

// summaries has two servers tell of themselves.
func summaries(t *testing.T, url string, r *testkit.Redis) {
	b := openBroker(t, url, nil)
	for _, name := range []string{"a", "b"} {
		node, err := openBroker(t, url, nil).Presence().Join(name, func(*cluster.Message) {})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = node.Leave(context.Background()) })
	}
	testkit.Eventually(t, func() bool { return r.Do("SCARD", nodesKey) == int64(2) }, patience)
	expect := func(want ...string) {
		t.Helper()
		all, err := b.Summaries(t.Context())
		if err != nil || len(all) != 2 || all[0].Server != "a" || all[1].Server != "b" {
			t.Fatalf("%+v, %v", all, err)
		}
		for i, s := range all {
			if string(s.Text) != want[i] {
				t.Errorf("of %s: %.40q, want %.40q", s.Server, s.Text, want[i])
			}
		}
	}
	expect("", "")
	if err := b.PutSummary(t.Context(), "a", []byte("{}"), time.Minute); err != nil {
		t.Fatal(err)
	}
	r.Do("SET", summaryKey+"b", strings.Repeat("x", MaxSummary+1)) // by whom?
	expect("{}", strings.Repeat("x", MaxSummary))
	if err := b.PutSummary(t.Context(), "b", []byte("gone soon"), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, func() bool { return r.Do("EXISTS", summaryKey+"b") == int64(0) }, patience)
	expect("{}", "")
	if err := b.PutSummary(t.Context(), "", nil, time.Minute); !errors.Is(err, broker.ErrServer) {
		t.Errorf("no name: %v", err)
	}
	if err := b.PutSummary(t.Context(), "a", make([]byte, MaxSummary+1), time.Minute); err == nil {
		t.Error("no error for a long text")
	}
}
