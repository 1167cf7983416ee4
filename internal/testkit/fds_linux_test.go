package testkit

import (
	"net"
	"strings"
	"testing"
)

func TestFindLeaksNamesAnOpenSocket(t *testing.T) {
	before := openFDs()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	left := newFDs(before, openFDs())
	if len(left) != 1 || !strings.Contains(left[0], "socket:") {
		t.Fatalf("one open listener, reported %v", left)
	}
	l.Close()
	if left := newFDs(before, openFDs()); len(left) != 0 {
		t.Fatalf("nothing open, reported %v", left)
	}
}
