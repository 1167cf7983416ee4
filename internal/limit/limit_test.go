package limit_test

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/limit"
)

func TestMeter(t *testing.T) {
	const second = int64(time.Second)
	r := limit.PerSecond(10, 5)
	var m limit.Meter
	now := int64(0)
	for i := range 5 {
		if !m.Take(r, now) {
			t.Fatalf("%d of a burst of 5 is refused", i+1)
		}
	}
	if m.Take(r, now) {
		t.Fatal("a burst of 6")
	}
	if now += second / 10; !m.Take(r, now) || m.Take(r, now) {
		t.Error("a tenth of a second later there is more or less than one")
	}
	taken := 0
	for end := now + 10*second; now < end; now += second / 1000 {
		if m.Take(r, now) {
			taken++
		}
	}
	if taken < 99 || taken > 101 {
		t.Errorf("%d in 10 s at 10 a second", taken)
	}
	now += 3600 * second
	taken = 0
	for m.Take(r, now) {
		taken++
	}
	if taken != 5 {
		t.Errorf("%d at once after an hour, want a burst", taken)
	}
	for range 1000 {
		if !m.Take(limit.Rate{}, 0) || !m.Take(limit.PerSecond(-1, 9), 0) {
			t.Fatal("no limit limits")
		}
	}
}

// What many goroutines take together is what one would.
func TestSharedMeter(t *testing.T) {
	r := limit.PerSecond(1, 100)
	var m limit.SharedMeter
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if m.Take(r, 0) {
					mu.Lock()
					taken++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if taken != 100 {
		t.Errorf("%d taken of 100", taken)
	}
}

func TestKey(t *testing.T) {
	for given, want := range map[string]string{
		"192.0.2.1":                "192.0.2.1",
		"::ffff:192.0.2.1":         "192.0.2.1",
		"2001:db8:1:2:3:4:5:6":     "2001:db8:1:2::",
		"2001:db8:1:2:ffff::1":     "2001:db8:1:2::",
		"2001:db8:1:3::1":          "2001:db8:1:3::",
		"fe80::1%eth0":             "fe80::",
		"::1":                      "::",
		"2001:db8:1:2:3:4:5:6%zon": "2001:db8:1:2::",
	} {
		if got := limit.Key(netip.MustParseAddr(given)); got.String() != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
}

func TestTableConnections(t *testing.T) {
	table := limit.NewTable()
	a, neighbour, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), netip.MustParseAddr("2001:db8:0:1::1")
	if !table.Enter(a, 2) || !table.Enter(neighbour, 2) || table.Enter(a, 2) {
		t.Error("the addresses of a /64 do not count together")
	}
	if !table.Enter(other, 2) {
		t.Error("another site is full")
	}
	table.Leave(a, 0)
	if table.Connections(neighbour) != 1 || !table.Enter(neighbour, 2) {
		t.Error("a place that was left is not free")
	}
	for _, addr := range []netip.Addr{a, a, other} {
		table.Leave(addr, 0)
	}
	if table.Len() != 0 {
		t.Errorf("%d addresses are left", table.Len())
	}
}

// Who comes back before the bucket is full again finds it as it was.
func TestTableKeepsTries(t *testing.T) {
	table, r := limit.NewTable(), limit.PerSecond(1, 1)
	a := netip.MustParseAddr("192.0.2.1")
	if !table.Try(a, r, 0) || table.Try(a, r, 0) {
		t.Error("a burst of more than one, or of none")
	}
	table.Enter(a, 0)
	table.Leave(a, 0)
	if table.Try(a, r, 0) {
		t.Error("a connection that came and went has filled the bucket")
	}
	if !table.Try(a, r, 2*int64(time.Second)) {
		t.Error("the bucket stays empty")
	}
}

// A flood of addresses does not grow the table, and does not push out those who are
// connected.
func TestTableIsBounded(t *testing.T) {
	table, r := limit.NewTable(), limit.PerSecond(1, 1)
	connected := netip.MustParseAddr("192.0.2.1")
	table.Enter(connected, 1)
	for i := range 100_000 {
		addr := netip.MustParseAddr(fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
		if !table.Try(addr, r, 0) {
			t.Fatalf("%v is refused at its first try", addr)
		}
	}
	if n := table.Len(); n > 1<<16+1 || n < 1<<15 {
		t.Errorf("%d addresses are known", n)
	}
	if table.Enter(connected, 1) {
		t.Error("the one who is connected was forgotten")
	}
}

func TestNothingIsAllocated(t *testing.T) {
	table, r := limit.NewTable(), limit.PerSecond(1e6, 10)
	a := netip.MustParseAddr("192.0.2.1")
	var m limit.Meter
	if n := testing.AllocsPerRun(100, func() {
		m.Take(r, limit.Now())
		table.Try(a, r, limit.Now())
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
