package bench

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/codec/handshake"
)

// dialers is how many connections are being made at one time.
const dialers = 64

// offer asks for messages that stand alone, so that a connection keeps no
// compression state. RFC 7692 7.1.1.
const offer = "permessage-deflate; client_no_context_takeover; server_no_context_takeover"

// dialAll makes n connections. On error it has closed those it made.
func dialAll(ctx context.Context, cfg Config, to target, n int) ([]*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	conns := make([]*conn, n)
	next := make(chan int)
	failed := make(chan error, dialers)
	var wg sync.WaitGroup
	for range min(dialers, n) {
		wg.Go(func() {
			for i := range next {
				c, err := dial(ctx, cfg, to)
				if err != nil {
					failed <- fmt.Errorf("connection %d: %w", i, err)
					cancel()
					return
				}
				conns[i] = c
			}
		})
	}
feed:
	for i := range n {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	select {
	case err := <-failed:
		closeAll(conns)
		return nil, err
	default:
	}
	if err := ctx.Err(); err != nil {
		closeAll(conns)
		return nil, err
	}
	return conns, nil
}

// dial connects and upgrades within the deadline of ctx.
func dial(ctx context.Context, cfg Config, to target) (*conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", to.addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	c, err := upgrade(nc, cfg, to)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

// upgrade sends the request and checks the response. RFC 6455 4.1.
func upgrade(nc net.Conn, cfg Config, to target) (*conn, error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	req := "GET " + to.path + " HTTP/1.1\r\nHost: " + to.host +
		"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + key + "\r\n"
	if cfg.Deflate {
		req += "Sec-WebSocket-Extensions: " + offer + "\r\n"
	}
	if _, err := nc.Write([]byte(req + "\r\n")); err != nil {
		return nil, err
	}
	br := bufio.NewReader(nc)
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrHandshake, err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, fmt.Errorf("%w: status %s", ErrHandshake, resp.Status)
	}
	if want := string(handshake.AcceptKey(nil, []byte(key))); resp.Header.Get("Sec-WebSocket-Accept") != want {
		return nil, fmt.Errorf("%w: wrong Sec-WebSocket-Accept", ErrHandshake)
	}
	extensions := resp.Header.Get("Sec-WebSocket-Extensions")
	deflated := strings.Contains(extensions, "permessage-deflate")
	switch {
	case cfg.Deflate && !deflated:
		return nil, ErrNoDeflate
	case deflated && !cfg.Deflate:
		return nil, fmt.Errorf("%w: extension %q was not offered", ErrHandshake, extensions)
	case deflated && !strings.Contains(extensions, "server_no_context_takeover"):
		return nil, fmt.Errorf("%w: server keeps compression context: %q", ErrHandshake, extensions)
	}
	early, _ := br.Peek(br.Buffered()) // frames right behind the response
	return newConn(nc, cfg, early), nil
}

func closeAll(conns []*conn) {
	for _, c := range conns {
		if c != nil {
			c.nc.Close()
		}
	}
}
