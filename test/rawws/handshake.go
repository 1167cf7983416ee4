package rawws

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Key is the Sec-WebSocket-Key of every handshake, the example of RFC 6455 1.3.
const Key = "dGhlIHNhbXBsZSBub25jZQ=="

// Response is a server's answer to a request.
type Response struct {
	Status int
	Header http.Header
	Body   string
	Close  bool // the server says that it will close the connection
}

// Request returns a well-formed upgrade request for path on host, with the
// given field lines ("Name: value") behind the required ones.
func Request(host, path string, fields ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n", path, host)
	fmt.Fprintf(&b, "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n", Key)
	for _, f := range fields {
		b.WriteString(f + "\r\n")
	}
	return b.String() + "\r\n"
}

// Upgrade performs the opening handshake and checks the answer as a client must.
// RFC 6455 4.1, RFC 7692 7.1
func (c *Conn) Upgrade(path, extensions string) error {
	var fields []string
	if extensions != "" {
		fields = append(fields, "Sec-WebSocket-Extensions: "+extensions)
	}
	if err := c.Send([]byte(Request(c.RemoteAddr().String(), path, fields...))); err != nil {
		return err
	}
	return c.ReadUpgrade(extensions)
}

// ReadUpgrade reads the answer to an upgrade request that offered extensions.
func (c *Conn) ReadUpgrade(extensions string) error {
	r, err := c.ReadResponse()
	if err != nil {
		return err
	}
	if err := r.checkUpgrade(); err != nil {
		return err
	}
	answer := strings.Join(r.Header.Values("Sec-WebSocket-Extensions"), ", ")
	c.Params, c.Deflate, err = negotiated(extensions, answer)
	if err != nil {
		return fmt.Errorf("offer %q, answer %q: %w", extensions, answer, err)
	}
	if c.Deflate {
		c.deflater = newDeflater(c.Params)
	}
	return nil
}

// ReadResponse reads one HTTP response; the body only when its length is given
// or the connection ends behind it.
func (c *Conn) ReadResponse() (*Response, error) {
	c.SetReadDeadline(time.Now().Add(c.patience()))
	res, err := http.ReadResponse(c.br, nil)
	if err != nil {
		return nil, err
	}
	r := &Response{Status: res.StatusCode, Header: res.Header, Close: res.Close}
	c.Response = r
	if res.StatusCode == http.StatusSwitchingProtocols {
		return r, nil
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	r.Body = string(body)
	return r, err
}

func (r *Response) checkUpgrade() error {
	if r.Status != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %d %q", r.Status, r.Body)
	}
	sum := sha1.Sum([]byte(Key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	want := base64.StdEncoding.EncodeToString(sum[:])
	if got := r.Header.Values("Sec-WebSocket-Accept"); len(got) != 1 || got[0] != want {
		return fmt.Errorf("field Sec-WebSocket-Accept %q, want %q", got, want)
	}
	if got := r.Header.Get("Upgrade"); !strings.EqualFold(got, "websocket") {
		return fmt.Errorf("field Upgrade %q", got)
	}
	if got := r.Header.Get("Connection"); !strings.EqualFold(got, "upgrade") {
		return fmt.Errorf("field Connection %q", got)
	}
	if got := r.Header.Values("Sec-WebSocket-Protocol"); len(got) != 0 {
		return fmt.Errorf("unasked Sec-WebSocket-Protocol %q", got)
	}
	return nil
}
