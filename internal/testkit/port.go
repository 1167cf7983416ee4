package testkit

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Ports are below those that systems give to connections, or to who listens on
// port 0: nobody but another test picks one by chance.
const (
	firstPort = 10_000
	lastPort  = 32_000
)

// FreePort returns a TCP port of the loopback interface on which nothing
// listened a moment ago, and which no other test gets while this one lasts. Another
// program may take it before the caller does: listen on port 0 and ask for the address
// wherever that is possible.
func FreePort(t testing.TB) int {
	t.Helper()
	var err error
	for range 100 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		// Who has the UDP port of that number has the right to it: tests of other
		// processes see that, and no TCP comes in its way.
		var claim net.PacketConn
		if claim, err = net.ListenPacket("udp", address); err != nil {
			continue
		}
		var l net.Listener
		if l, err = net.Listen("tcp", address); err == nil {
			l.Close()
			t.Cleanup(func() { claim.Close() })
			return port
		}
		claim.Close()
	}
	t.Fatalf("no free port: %v", err)
	return 0
}
