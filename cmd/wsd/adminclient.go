package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// adminPatience bounds one request of a command to the admin listener.
	adminPatience = 15 * time.Second
	// adminMaxAnswer is the longest answer in bytes that a command reads.
	adminMaxAnswer = 32 << 20
)

// adminClientFlags are those of the commands that ask a server's admin listener.
type adminClientFlags struct {
	AdminURL string `name:"admin-url" default:"http://127.0.0.1:9090" placeholder:"URL" help:"Where the server's admin listener is. Default ${default}."`
	adminTokenFlags
}

// adminClient asks the admin listener of a server.
type adminClient struct {
	base  *url.URL
	token []byte // empty: none
	http  *http.Client
}

// client returns what the flags describe. The caller closes it.
func (f *adminClientFlags) client() (*adminClient, error) {
	if err := f.adminTokenFlags.check(); err != nil {
		return nil, err
	}
	base, err := url.Parse(f.AdminURL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, usageError(fmt.Errorf("--admin-url %s: want http://host:port", f.AdminURL))
	}
	token, err := f.token()
	if err != nil {
		return nil, err
	}
	return &adminClient{base, token, &http.Client{
		Timeout:   adminPatience,
		Transport: &http.Transport{Proxy: nil}, // a proxy has no way to a loopback address
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // the token is for this server
		},
	}}, nil
}

// close gives idle connections back.
func (c *adminClient) close() { c.http.CloseIdleConnections() }

// adminError is an answer that is no success.
type adminError struct {
	status int
	text   string // of the body, one line
}

func (e *adminError) Error() string {
	if e.status == http.StatusUnauthorized {
		return "the server wants its admin token: give --admin-token-file"
	}
	return fmt.Sprintf("the server answers %d: %s", e.status, e.text)
}

// do sends body as JSON, unless it is nil, to a path such as "/v1/nodes?x=y", and
// decodes the answer into the value that into points to, unless that is nil. The
// error is an *adminError for an answer of 300 and up.
func (c *adminClient) do(ctx context.Context, method, path string, body, into any) error {
	var send io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		send = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.base.String(), "/")+path, send)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if len(c.token) > 0 {
		req.Header.Set("Authorization", "Bearer "+string(c.token))
	}
	res, err := c.http.Do(req)
	if err != nil {
		return c.unreached(ctx, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(io.LimitReader(res.Body, adminMaxAnswer+1))
	switch {
	case err != nil:
		return c.unreached(ctx, err)
	case res.StatusCode >= 300:
		return &adminError{res.StatusCode, oneLine(text)}
	case len(text) > adminMaxAnswer:
		return fmt.Errorf("%s: the answer is longer than %d bytes", path, adminMaxAnswer)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %s does not answer as wsd does: %w", path, c.base.Redacted(), err)
	}
	return nil
}

// unreached is the error where no answer came.
func (c *adminClient) unreached(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var of *url.Error
	if errors.As(err, &of) {
		err = of.Err
	}
	return fmt.Errorf("nothing answers at %s: %w; is wsd running there? --admin-url says where its admin listener is", c.base.Redacted(), err)
}

// oneLine is an error's text: that of a JSON object's error or message, or what is
// there, cut off.
func oneLine(text []byte) string {
	var object struct {
		Error   json.RawMessage `json:"error"`
		Message string          `json:"message"`
	}
	if json.Unmarshal(text, &object) == nil {
		var plain string
		var nested struct {
			Message string `json:"message"`
		}
		switch {
		case object.Message != "":
			return object.Message
		case json.Unmarshal(object.Error, &plain) == nil:
			return plain
		case json.Unmarshal(object.Error, &nested) == nil:
			return nested.Message
		}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return strings.ToValidUTF8(line[:min(len(line), 200)], "")
}
