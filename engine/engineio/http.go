package engineio

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// answer is what a poll gets.
type answer struct {
	body     []byte
	binary   bool // a payload of revision 3 with binary in it
	compress bool // the body may be compressed
	refused  *RequestError
	status   int // 0: 200
}

// serveHTTP answers whatever is no WebSocket handshake.
func (srv *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	srv.boundBody(w, r)
	req := requestOf(r)
	if cors := srv.cors.Load(); cors.apply(w.Header(), req) && r.Method == http.MethodOptions {
		cors.preflight(w, req)
		return
	}
	p := req.params()
	s, refused := srv.verify(&p, r.Method, false)
	if refused != nil {
		if !srv.passOn(w, r, &p, refused) {
			srv.refuse(w, r, refused)
		}
		return
	}
	switch {
	case s == nil:
		srv.handshake(w, r, req, &p)
	case r.Method == http.MethodGet:
		s.serveGet(w, r)
	case r.Method == http.MethodPost:
		s.servePost(w, r)
	default:
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// boundBody gives the body of a request, whatever becomes of it, its time.
func (srv *Server) boundBody(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength != 0 {
		// A connection that has no deadlines has the server's own.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(srv.patience()))
	}
}

// refuse answers with an error of the protocol. engine.io-protocol: errors as
// engine.io writes them.
func (srv *Server) refuse(w http.ResponseWriter, r *http.Request, e *RequestError) {
	var req *Request
	if srv.opts.Refused != nil {
		req = requestOf(r).seenBy(srv.opts.Client)
	}
	srv.tellRefused(req, e)
	if e.comesBack() {
		w.Header().Set("Retry-After", retryAfter())
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.Status)
	// The client may be gone.
	_, _ = w.Write([]byte(`{"code":` + strconv.Itoa(e.Code) + `,"message":` + quote(e.Message) + `}`))
}

// retryAfter spreads the return of those who were refused, in seconds.
func retryAfter() string { return strconv.Itoa(1 + rand.IntN(5)) }

// quote is a JSON string, escaped no more than JavaScript does.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // strings don't fail
	return string(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// handshake begins a session that polls.
func (srv *Server) handshake(w http.ResponseWriter, r *http.Request, req *Request, p *params) {
	req = req.seenBy(srv.opts.Client)
	ln := srv.nextLane()
	refused := srv.allow(req)
	switch {
	case refused != nil:
	case p.revision() == 3 && !srv.opts.AllowEIO3:
		refused = refuseVersion
	case srv.closing.Load() || ln == nil:
		refused = refuseClosing
	case !srv.admit():
		refused = refuseCapacity
	}
	if refused != nil {
		srv.refuse(w, r, refused)
		return
	}
	s := &Session{lane: ln, sid: srv.newSID(), request: req, revision: uint8(p.revision()), base64: p.b64 != "", poll: new(poll)}
	g := newParked()
	if !ln.loop.Post(func() { s.openPolling(g) }) {
		srv.sessions.Add(-1)
		srv.refuse(w, r, refuseClosing)
		return
	}
	for _, c := range srv.cookies(req, s.sid) {
		w.Header().Add("Set-Cookie", c)
	}
	s.await(w, r, g)
}

// openPolling begins a session with the GET that asked for it.
func (s *Session) openPolling(g *parked) {
	if s.lane.srv.closing.Load() {
		s.lane.srv.sessions.Add(-1)
		g.answer <- answer{refused: refuseClosing}
		return
	}
	s.hold(g)
	s.open()
}

// serveGet answers a poll when there is something to send.
func (s *Session) serveGet(w http.ResponseWriter, r *http.Request) {
	g := newParked()
	if !s.lane.loop.Post(func() { s.park(g) }) {
		s.lane.srv.refuse(w, r, refuseSID)
		return
	}
	s.await(w, r, g)
}

// await waits for the answer of a poll and writes it.
func (s *Session) await(w http.ResponseWriter, r *http.Request, g *parked) {
	select {
	case a := <-g.answer:
		s.lane.srv.writeAnswer(w, r, &a)
	case <-r.Context().Done():
		// After Shutdown there is nothing to tell.
		s.lane.loop.Post(func() { s.unpark(g) })
	}
}

// writeAnswer writes what a poll got.
func (srv *Server) writeAnswer(w http.ResponseWriter, r *http.Request, a *answer) {
	switch {
	case a.refused != nil:
		srv.refuse(w, r, a.refused)
		return
	case a.status != 0:
		w.WriteHeader(a.status)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8")
	if a.binary {
		h.Set("Content-Type", "application/octet-stream")
	}
	h.Set("Cache-Control", "no-store")
	// Whoever needs longer misses his heartbeat. A connection that has no
	// deadlines has the server's own.
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(srv.patience()))
	coding := ""
	if limit := srv.opts.HTTPCompression; a.compress && limit > 0 && len(a.body) >= limit {
		coding = codingFor(r.Header.Get("Accept-Encoding"))
	}
	// The client may be gone: it does not poll again then.
	if coding != "" {
		h.Set("Content-Encoding", coding)
		_ = writeCompressed(w, coding, a.body)
	} else {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
		_, _ = w.Write(a.body)
	}
	_ = control.Flush()
	_ = control.SetWriteDeadline(time.Time{})
}

// patience is how long a client may take to read an answer or send a body: one
// that needs longer can't keep up with the heartbeat.
func (srv *Server) patience() time.Duration { return srv.opts.PingInterval + srv.opts.PingTimeout }
