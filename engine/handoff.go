package engine

import (
	"net"
	"net/http"
	"slices"

	"github.com/fe4bcecb/wsd/codec/proxyproto"
)

// Adopt serves a connection of which data was read elsewhere: by another App's
// Detach, in this process or another one. Nothing of it may have been answered but
// whole requests before data. The App closes nc, also when it returns an error: a
// mistake of registration, or ErrShutdown.
//
// With Options.ProxyHeader, which both Apps need or neither, Detach puts what the
// connection's PROXY header told in front of data as another one, and Adopt believes it
// whoever the peer is. Without data the connection is served as one that was accepted.
func (a *App) Adopt(nc net.Conn, data []byte) error {
	if err := a.start(); err != nil {
		_ = nc.Close()
		return err
	}
	f, told := a.newcomer, proxyproto.Header{}
	if len(data) > 0 {
		f = 0
		told, data = a.takeProxyHeader(data)
	}
	a.inject(nc, data, f, told)
	return nil
}

// Detach takes the connection away from the App instead of answering: give gets it,
// with the request's head and whatever came behind it, for another server's Adopt.
// It is called on the loop, soon, and must not block; when the connection can't be
// had any more it is closed, and give not called. Call in Behavior.Upgrade, not
// after Defer. The error is ErrDecided.
func (u *Handshake) Detach(give func(nc net.Conn, data []byte)) error {
	if u.decided || u.later || !u.loop.onLoop() {
		return ErrDecided
	}
	u.decided = true
	u.conn.leave(&departure{give: give, data: slices.Concat(u.conn.proxyHeader(), u.head, u.rest)})
	return nil
}

// Detach takes a connection away from an http.Handler, with its request: the head,
// and whatever came behind it. It is for another server's Adopt. The request's body
// must not have been read, nor the response begun. When it returns an error the
// handler still has to answer.
func Detach(w http.ResponseWriter, r *http.Request) (net.Conn, []byte, error) {
	nc, p, data, err := detach(w, r)
	if err == nil && p != nil && p.headed {
		data = append(proxyproto.Append(nil, p.told), data...)
	}
	return nc, data, err
}

// detach is Detach without the header. p is what the App had given to net/http, nil
// where somebody else's server has the connection.
func detach(w http.ResponseWriter, r *http.Request) (nc net.Conn, p *prefixed, data []byte, err error) {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, nil, err
	}
	data = requestHead(r)
	if n := rw.Reader.Buffered(); n > 0 {
		ahead, _ := rw.Reader.Peek(n)
		data = append(data, ahead...)
	}
	if p, _ = nc.(*prefixed); p != nil {
		data = append(data, p.first...)
		nc = p.Conn
	}
	return nc, p, data, nil
}
