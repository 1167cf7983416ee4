package vectors

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
)

// timeout bounds every wait for a server.
const timeout = 20 * time.Second

// What ended the reading of an answer, in the transcripts' words.
const (
	complete = "response complete"
	closed   = "closed by server"
	silent   = "timeout"
)

// answer is an HTTP answer, without its framing.
type answer struct {
	line   string // status line
	header http.Header
	body   []byte
	end    string // complete, closed or silent
}

// readAnswer reads the answer to request. A connection that ends before the
// first byte is an empty answer.
func readAnswer(r *bufio.Reader, request string) (answer, error) {
	if _, err := r.Peek(1); err != nil {
		return answer{end: closed}, ended(err)
	}
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	a := answer{line: res.Proto + " " + res.Status, header: res.Header, end: complete}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return a, nil
	}
	defer res.Body.Close()
	if a.body, err = io.ReadAll(io.LimitReader(res.Body, 1<<20)); err != nil {
		return a, err
	}
	if res.Close {
		a.end = closed
		if _, err := r.ReadByte(); ended(err) != nil {
			return a, fmt.Errorf("after an answer that closes the connection: %w", err)
		}
	}
	return a, nil
}

// ended is nil when err says that the peer ended the connection.
func ended(err error) error {
	var timeout net.Error
	switch {
	case err == nil:
		return errors.New("more bytes")
	case errors.As(err, &timeout) && timeout.Timeout():
		return err
	}
	return nil
}

// parseAnswer reads the answer that a transcript holds.
func parseAnswer(s step) (answer, error) {
	raw := s.Response
	if s.ResponseHead != "" {
		return parseHead(s)
	}
	a, err := readAnswer(bufio.NewReader(bytes.NewReader(latin1(raw))), s.Request)
	if err != nil {
		return a, err
	}
	switch s.Connection {
	case silent:
		a.end = silent
	case "closed": // of a request that was not complete
		a.end = closed
	case complete, closed:
		if a.end != s.Connection && raw != "" {
			return a, fmt.Errorf("%q, but %q", a.end, s.Connection)
		}
	}
	return a, nil
}

// parseHead is parseAnswer for an answer whose body the transcript only measured.
func parseHead(s step) (answer, error) {
	head, _, _ := strings.Cut(s.ResponseHead, "\r\n\r\n")
	line, fields, _ := strings.Cut(head, "\r\n")
	a := answer{line: line, header: http.Header{}, end: complete}
	for field := range strings.SplitSeq(fields, "\r\n") {
		name, value, _ := strings.Cut(field, ": ")
		a.header.Add(name, value)
	}
	return a, nil
}

// framing are the fields that say how the answer is cut out of the connection,
// and when it was made. readAnswer has obeyed them: a body that contradicts
// its length is an error, and Connection decides answer.end.
var framing = []string{"Date", "Keep-Alive", "Connection", "Content-Length", "Transfer-Encoding"}

// compareAnswers compares all but the body.
func compareAnswers(d *ids, want, got answer) error {
	var errs []error
	if got.line != want.line {
		errs = append(errs, fmt.Errorf("status line %q, want %q", got.line, want.line))
	}
	if got.end != want.end {
		errs = append(errs, fmt.Errorf("the connection: %s, want %s", got.end, want.end))
	}
	wantFields, gotFields := fields(want), fields(got)
	for _, name := range slices.Sorted(maps.Keys(wantFields)) {
		if err := d.match([]byte(wantFields[name]), []byte(gotFields[name])); err != nil {
			errs = append(errs, fmt.Errorf("field %s: %w", name, err))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(gotFields)) {
		if _, ok := wantFields[name]; !ok {
			errs = append(errs, fmt.Errorf("field %s: %q, want none", name, gotFields[name]))
		}
	}
	return errors.Join(errs...)
}

// fields is the header that counts; the values of one field are joined.
func fields(a answer) map[string]string {
	m := map[string]string{}
	for name, values := range a.header {
		if slices.Contains(framing, name) && !(name == "Connection" && strings.Contains(a.line, " 101 ")) {
			continue
		}
		if name == "Set-Cookie" {
			values = slices.Clone(values)
			for i, v := range values {
				values[i] = cookieParts(v)
			}
		}
		m[name] = strings.Join(values, "\n")
	}
	return m
}

// cookieParts sorts the attributes of a cookie, whose order has no meaning
// (RFC 6265 5.2).
func cookieParts(cookie string) string {
	parts := strings.Split(cookie, "; ")
	slices.Sort(parts[1:])
	return strings.Join(parts, "; ")
}

func hexString(b []byte) string { return hex.EncodeToString(b) }

func mustHex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}
