package conv_test

import (
	"testing"

	"github.com/fe4bcecb/wsd/internal/conv"
)

func TestStringAndBytes(t *testing.T) {
	for _, s := range []string{"", "a", "topic/one"} {
		if got := conv.String(conv.Bytes(s)); got != s {
			t.Errorf("String(Bytes(%q)) = %q", s, got)
		}
	}
	if n := testing.AllocsPerRun(100, func() { _ = conv.String(conv.Bytes("topic/one")) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestGoroutineTellsGoroutinesApart(t *testing.T) {
	mine := conv.Goroutine()
	if mine == 0 || conv.Goroutine() != mine {
		t.Fatal("one goroutine has two identities")
	}
	const others = 8
	ids := make(chan uintptr)
	release := make(chan struct{})
	for range others {
		go func() {
			ids <- conv.Goroutine()
			<-release
		}()
	}
	seen := map[uintptr]bool{mine: true}
	for range others {
		id := <-ids
		if seen[id] {
			t.Errorf("two living goroutines share the identity %#x", id)
		}
		seen[id] = true
	}
	close(release)
}
