package testkit

import (
	"net"
	"testing"
)

// FreePort returns a TCP port of the loopback interface on which nothing
// listened a moment ago. Another process may take it before the caller does:
// listen on port 0 and ask for the address wherever that is possible.
func FreePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("no free port: %v", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
