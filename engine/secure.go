package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"time"
)

const (
	// plainAnswer is what a client of plain HTTP gets from a listener with TLS.
	plainAnswer = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\nContent-Length: 45\r\n\r\n" +
		"this port speaks TLS: use https:// or wss://\n"
	// plainLinger bounds how long that client may take to read it, and
	// plainRest what it may still send.
	plainLinger = time.Second
	plainRest   = 64 << 10
)

// secure performs the handshake of a connection with TLS, behind a PROXY header where
// there is to be one, both within HandshakeTimeout. It returns false when the connection
// is over.
func (s *stream) secure() bool {
	t, ok := s.nc.(*tls.Conn)
	if !ok {
		return true
	}
	a := s.loop.Load().app
	ctx, cancel := context.WithTimeout(context.Background(), a.opts.HandshakeTimeout)
	defer cancel()
	if s.unheaded && !s.readProxyHeader(ctx, t.NetConn()) {
		return false
	}
	err := t.HandshakeContext(ctx)
	if err == nil {
		return true
	}
	a.tlsFailed.Add(1)
	var record tls.RecordHeaderError
	plain := errors.As(err, &record) && record.Conn != nil && isPlainHTTP(record.RecordHeader)
	if !errors.Is(err, io.EOF) { // who leaves without a word is refused nothing
		answer := 0
		if plain {
			answer = http.StatusBadRequest
		}
		s.loop.Load().post(func() { s.conn.tellRefused(RefusedTLS, answer, err.Error()) })
	}
	if plain {
		refusePlain(record.Conn)
	}
	return false
}

// isPlainHTTP reports whether the first bytes are those of a request.
func isPlainHTTP(first [5]byte) bool {
	switch string(first[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH", "PRI *":
		return true
	}
	return false
}

// refusePlain answers and waits a little for the client to hang up: closing with
// unread input would take the answer back (RFC 9293 3.10.4).
func refusePlain(nc net.Conn) {
	_ = nc.SetDeadline(time.Now().Add(plainLinger))
	// The client may be gone: nothing to do.
	_, _ = io.WriteString(nc, plainAnswer)
	if half, ok := nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, nc, plainRest)
}
