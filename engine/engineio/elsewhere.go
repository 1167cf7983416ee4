package engineio

import (
	"net"
	"net/http"

	"github.com/fe4bcecb/wsd/engine"
)

// elsewhere is who gets the connection of a request that was refused, nil for
// nobody.
func (srv *Server) elsewhere(p *params, refused *RequestError) func(net.Conn, []byte) {
	if refused != refuseSID || srv.opts.Elsewhere == nil || srv.Owns(p.sid) {
		return nil
	}
	return srv.opts.Elsewhere(p.sid)
}

// passOn gives a request to the server that has its session. It reports whether
// there is one.
func (srv *Server) passOn(w http.ResponseWriter, r *http.Request, p *params, refused *RequestError) bool {
	give := srv.elsewhere(p, refused)
	if give == nil {
		return false
	}
	nc, data, err := engine.Detach(w, r)
	if err != nil {
		return false // a server that is not the App's, and can't let go
	}
	give(nc, data)
	return true
}

// passOnUpgrade is passOn for a WebSocket handshake.
func (srv *Server) passOnUpgrade(u *engine.Handshake, p *params, refused *RequestError) bool {
	give := srv.elsewhere(p, refused)
	return give != nil && u.Detach(give) == nil
}
