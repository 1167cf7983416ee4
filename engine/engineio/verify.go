package engineio

import (
	"errors"
	"net/http"
)

// verify holds a request against the protocol's rules, in Node's order. A nil
// session without an error is a handshake.
func (srv *Server) verify(p *params, method string, upgrade bool) (*Session, *RequestError) {
	if !srv.opts.serves(p.transport) {
		return nil, refuseTransport
	}
	if p.sid != "" {
		s := srv.session(p.sid)
		switch {
		case s == nil:
			srv.countUnknown(p.sid)
			return nil, refuseSID
		case !upgrade && s.Transport() != p.transport, s.Protocol() != p.revision():
			return nil, refuseRequest
		}
		return s, nil
	}
	switch {
	case method != http.MethodGet:
		return nil, refuseMethod
	case p.transport == WebSocket && !upgrade:
		return nil, refuseRequest
	}
	return nil, nil
}

func (srv *Server) originAllowed(req *Request) bool {
	return srv.opts.CheckOrigin == nil || srv.opts.CheckOrigin(req)
}

// allow asks the options whether a handshake is welcome. It may block.
func (srv *Server) allow(req *Request) *RequestError {
	if !srv.originAllowed(req) {
		return refuseForbidden
	}
	if srv.opts.Limit != nil {
		if refused := srv.opts.Limit(req); refused != nil {
			return refused
		}
	}
	if srv.opts.AllowRequest == nil {
		return nil
	}
	err := srv.opts.AllowRequest(req)
	var refused *RequestError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused):
		return refused
	}
	return Forbidden(err.Error())
}

// cookies are the cookies of a handshake's answer; sid is "" on a WebSocket's,
// which gets no session cookie, as with Node.
func (srv *Server) cookies(req *Request, sid string) (all []string) {
	secure := req.secure
	if srv.opts.SecureCookies != nil {
		secure = srv.opts.SecureCookies(req)
	}
	if c := srv.opts.Cookie; c != nil && sid != "" {
		c := *c
		c.Value = sid
		c.Secure = c.Secure || secure
		all = append(all, c.String())
	}
	if c := srv.opts.Affinity; c != nil {
		c := *c
		c.Secure = c.Secure || secure
		all = append(all, c.String())
	}
	return all
}
