package workers

import (
	"io"
	"net"
	"sync"
	"time"
)

// relayed is a connection that another worker relays: the client's socket stayed
// there, because it is more than a socket (TLS).
type relayed struct {
	net.Conn
	remote net.Addr
}

// RemoteAddr is the client's address.
func (r *relayed) RemoteAddr() net.Addr { return r.remote }

// CloseWrite tells the client that nothing more comes.
func (r *relayed) CloseWrite() error { return halfClose(r.Conn) }

// relays are the connections that this process relays.
type relays struct {
	mu   sync.Mutex
	open map[net.Conn]net.Conn // the client's, and the other worker's end
	wg   sync.WaitGroup
}

// relayBuffer is what a relay reads at a time, in bytes: it has two of them.
const relayBuffer = 16 << 10

// relayLinger is how long a client may take to close what the worker has closed.
const relayLinger = 5 * time.Second

// begin relays until both ends are closed. first was read of the client already.
func (r *relays) begin(client, far net.Conn, first []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.open == nil {
		r.open = map[net.Conn]net.Conn{}
	}
	r.open[client] = far
	r.wg.Add(1)
	go func() {
		defer r.wg.Done()
		var back sync.WaitGroup
		back.Add(1)
		go func() {
			defer back.Done()
			pump(client, far)
			// The worker has ended it: so must the client, soon.
			_ = client.SetReadDeadline(time.Now().Add(relayLinger))
		}()
		if _, err := far.Write(first); err == nil {
			pump(far, client)
		}
		back.Wait()
		_ = client.Close()
		_ = far.Close()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.open, client)
	}()
}

// pump copies until from ends, and says so.
func pump(to, from net.Conn) {
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, relayBuffer))
	if err != nil || halfClose(to) != nil {
		_ = to.Close()
		_ = from.Close()
	}
}

func halfClose(nc net.Conn) error {
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nc.Close()
}

// count is how many there are.
func (r *relays) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

// close ends them.
func (r *relays) close() {
	r.mu.Lock()
	for client, far := range r.open {
		_ = client.Close()
		_ = far.Close()
	}
	r.mu.Unlock()
	r.wg.Wait()
}
