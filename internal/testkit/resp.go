package testkit

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// respTimeout bounds one command of a test's own connection.
const respTimeout = 10 * time.Second

// RedisError is an error that a server answered, without its leading "-".
type RedisError string

// Error implements error.
func (e RedisError) Error() string { return string(e) }

// respConn is a connection of a test to a server, apart from what it tests: RESP2,
// one command at a time.
type respConn struct {
	c net.Conn
	r *bufio.Reader
}

// dialRESP connects to a TCP address, or to a socket if network is "unix".
func dialRESP(network, addr string, config *tls.Config) (*respConn, error) {
	d := &net.Dialer{Timeout: respTimeout}
	var c net.Conn
	var err error
	if config != nil {
		c, err = tls.DialWithDialer(d, network, addr, config)
	} else {
		c, err = d.Dial(network, addr)
	}
	if err != nil {
		return nil, err
	}
	return &respConn{c: c, r: bufio.NewReader(c)}, nil
}

func (c *respConn) close() { c.c.Close() }

// do sends a command and reads its answer: nil, string, int64, or a slice of
// those. An error that the server answers is a RedisError.
func (c *respConn) do(args ...string) (any, error) {
	if err := c.c.SetDeadline(time.Now().Add(respTimeout)); err != nil {
		return nil, err
	}
	b := fmt.Appendf(nil, "*%d\r\n", len(args))
	for _, a := range args {
		b = fmt.Appendf(b, "$%d\r\n%s\r\n", len(a), a)
	}
	if _, err := c.c.Write(b); err != nil {
		return nil, err
	}
	return c.read()
}

func (c *respConn) read() (any, error) {
	line, err := c.r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	if len(line) < 3 {
		return nil, errors.New("testkit: an answer that is no RESP")
	}
	kind, text := line[0], line[1:len(line)-2]
	switch kind {
	case '+':
		return text, nil
	case '-':
		return nil, RedisError(text)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("testkit: an answer that is no RESP: %w", err)
	}
	switch {
	case kind == ':':
		return n, nil
	case n < 0:
		return nil, nil
	case kind == '$':
		b := make([]byte, n+2)
		_, err := io.ReadFull(c.r, b)
		return string(b[:n]), err
	case kind == '*':
		list := make([]any, n)
		for i := range list {
			v, err := c.read()
			var refused RedisError
			if errors.As(err, &refused) {
				v, err = refused, nil // of a transaction's commands, one
			}
			if err != nil {
				return nil, err
			}
			list[i] = v
		}
		return list, nil
	}
	return nil, fmt.Errorf("testkit: an answer of kind %q", kind)
}
