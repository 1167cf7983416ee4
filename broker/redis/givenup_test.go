package redis

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

// TestNothingLate has what the publishing connection sends wait on its way, in a
// tunnel that does not care whether the connection has ended, until the next one is
// used: the server takes nothing of it then.
func TestNothingLate(t *testing.T) {
	t.Parallel()
	may := func(rules string) string { return "on >secret " + rules }
	for _, tt := range []struct {
		name  string
		user  string // its rules; "": the default one
		renew bool   // the connection is made anew before it has broken
		want  string
	}{
		{name: "it breaks", want: "first next"},
		{name: "it is made anew", renew: true, want: "first next"},
		{name: "a user of the documented line", user: may(aclRules), want: "first next"},
		{name: "a user who may not", user: may(strings.ReplaceAll(aclRules, "+client|kill", "")), want: "first next late"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := testkit.StartRedis(t)
			tunnel := testkit.StartProxy(t, r.Addr)
			way := testkit.StartProxy(t, tunnel.Addr)
			url := "redis://" + way.Addr
			if tt.user != "" {
				r.Do(append([]string{"ACL", "SETUSER", "wsd"}, strings.Fields(tt.user)...)...)
				url = "redis://wsd:secret@" + way.Addr
			}
			b := openBroker(t, url, fast)
			l := b.newLane("test")
			var got results
			add := func(value string) error {
				return l.push(1, func(b rueidis.Builder) rueidis.Completed {
					return b.Xadd().Key("wsd:log").Id("*").FieldValue().FieldValue("value", value).Build()
				}, got.done)
			}
			if err := add("first"); err != nil {
				t.Fatal(err)
			}
			testkit.Eventually(t, func() bool { return len(got.all()) == 1 }, patience)
			link, gen := b.link.current()
			hello, err := link.Do(t.Context(), link.B().Hello().Build()).AsMap()
			if err != nil {
				t.Fatal(err)
			}
			is := hello["id"]
			old, _ := is.AsInt64()

			way.Target(r.Addr) // what is new does not go by the tunnel
			tunnel.Stall(true, false)
			if err := add("late"); err != nil {
				t.Fatal(err)
			}
			if tt.renew {
				b.link.renew(gen)
			}
			testkit.Eventually(t, func() bool { return len(got.all()) == 2 }, patience)
			testkit.Eventually(t, func() bool { return add("next") == nil }, patience)
			testkit.Eventually(t, func() bool { return strings.HasPrefix(logged(r), "first next") }, patience)
			tunnel.Stall(false, false)
			testkit.Eventually(t, func() bool {
				return !ourClients(r)[fmt.Sprint(old)] || strings.HasSuffix(logged(r), "late")
			}, patience)
			if log := logged(r); log != tt.want {
				t.Errorf("the server has %q, want %q", log, tt.want)
			}
			if errs := got.all(); errs[1] == nil {
				t.Error("nobody was told that the one on its way may be lost")
			}
		})
	}
}

// logged are the values of the log of a test.
func logged(r *testkit.Redis) string {
	var values []string
	for _, entry := range r.Do("XRANGE", "wsd:log", "-", "+").([]any) {
		values = append(values, entry.([]any)[1].([]any)[1].(string))
	}
	return strings.Join(values, " ")
}

// ourClients are the ids of a test's connections.
func ourClients(r *testkit.Redis) map[string]bool {
	ids := map[string]bool{}
	for line := range strings.Lines(r.Do("CLIENT", "LIST").(string)) {
		if id, _, _ := strings.Cut(line, " "); strings.Contains(line, " name=wsd-test ") {
			ids[strings.TrimPrefix(id, "id=")] = true
		}
	}
	return ids
}

// TestKillLeavesOthers: a server that was restarted may know somebody else by the
// number of a connection that was given up.
func TestKillLeavesOthers(t *testing.T) {
	t.Parallel()
	r := testkit.StartRedis(t)
	b := openBroker(t, r.URL(), nil)
	ids := slices.Collect(maps.Keys(ourClients(r)))
	mine := r.Do("CLIENT", "ID").(int64)
	if err := kill(t.Context(), b.client, append(ids, "999999", fmt.Sprint(mine)), "wsd-others"); err != nil {
		t.Fatal(err)
	}
	if n := len(ourClients(r)); n != len(ids) {
		t.Errorf("%d of %d connections are left", n, len(ids))
	}
	own, err := b.client.Do(t.Context(), b.client.B().ClientId().Build()).AsInt64()
	if err != nil {
		t.Fatal(err)
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return id == fmt.Sprint(own) })
	if err := kill(t.Context(), b.client, append(ids, fmt.Sprint(mine)), "wsd-test"); err != nil {
		t.Fatal(err)
	}
	left := ourClients(r)
	for _, id := range ids {
		if left[id] {
			t.Errorf("%s is left", id)
		}
	}
	if now := r.Do("CLIENT", "ID"); now != mine {
		t.Errorf("a connection of another name was ended")
	}
}

func TestHelloID(t *testing.T) {
	t.Parallel()
	const hello = "%7\r\n$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n" +
		"$2\r\nid\r\n:1234\r\n$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n"
	end := strings.Index(hello, "$4\r\nmode")
	for n := range len(hello) + 1 {
		if id, known := helloID([]byte(hello[:n])); known != (n >= end) || known && id != "1234" {
			t.Fatalf("of %q: %q, %v", hello[:n], id, known)
		}
	}
	if _, known := helloID([]byte("-NOAUTH Authentication required.\r\n")); known {
		t.Error("an error has an id")
	}
}
