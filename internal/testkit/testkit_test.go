package testkit

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { os.Exit(CheckLeaks(m)) }

func TestFindLeaksNamesAGoroutine(t *testing.T) {
	known := goleak.IgnoreCurrent()
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		<-stop
	}()
	err := goleak.Find(known)
	close(stop)
	<-stopped
	if err == nil || !strings.Contains(err.Error(), "TestFindLeaksNamesAGoroutine") {
		t.Fatalf("a blocked goroutine was not named: %v", err)
	}
	if err := findLeaks(known, openFDs()); err != nil {
		t.Fatalf("after it ended: %v", err)
	}
}

func TestPoll(t *testing.T) {
	calls := 0
	if !poll(time.Minute, func() bool { calls++; return calls == 3 }) || calls != 3 {
		t.Fatalf("stopped after %d calls", calls)
	}
	if poll(0, func() bool { return false }) {
		t.Fatal("a condition that is never true was reported as met")
	}
}

func TestFreePort(t *testing.T) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(FreePort(t))))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	given := map[int]bool{}
	for range 1000 {
		port := FreePort(t)
		if given[port] {
			t.Fatalf("%d was given away twice", port)
		}
		given[port] = true
	}
}
