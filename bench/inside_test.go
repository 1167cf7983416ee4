package bench_test

import (
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/bench"
)

func TestTracker(t *testing.T) {
	var tr bench.Tracker
	for i, step := range []struct {
		seq  uint64
		want string
	}{
		{0, ""}, {1, ""}, {1, "duplicate"}, {4, ""}, {2, "reordered"}, {2, "duplicate"}, {4, "duplicate"}, {5, ""}, {0, "duplicate"},
	} {
		if got := tr.See(step.seq); got != step.want {
			t.Errorf("step %d: See(%d) = %q, want %q", i, step.seq, got, step.want)
		}
	}
	if got := tr.Lost(8); got != 3 { // 3, 6 and 7
		t.Errorf("Lost(8) = %d, want 3", got)
	}
}

func TestNear(t *testing.T) {
	tests := []struct {
		size                   int
		digits, expected, want uint64
	}{
		{1, 0x5, 0x1005, 0x1005},
		{1, 0x6, 0x1005, 0x1006},
		{1, 0x0, 0x100f, 0x1010},
		{1, 0xf, 0x1000, 0x0fff},
		{2, 0x7f, 0x2000, 0x207f},
		{2, 0x81, 0x2000, 0x1f81},
		{16, 7, 99, 7},
	}
	for _, tt := range tests {
		if got := bench.Near(tt.size, tt.digits, tt.expected); got != tt.want {
			t.Errorf("Near(%d, %#x, %#x) = %#x, want %#x", tt.size, tt.digits, tt.expected, got, tt.want)
		}
	}
}

func TestCPUPerMessage(t *testing.T) {
	res := bench.WithCPU(1000, 2*time.Second, 500*time.Millisecond)
	if res.PerSecond != 500 || res.Server.CPUPerMessage != 500 || res.Server.CPUFraction != 0.25 || res.Server.RSS != 1<<20 {
		t.Errorf("got %v/s, %+v", res.PerSecond, *res.Server)
	}
}
