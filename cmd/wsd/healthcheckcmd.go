package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// healthcheckCmd is `wsd healthcheck`, for containers that have no other program. It
// asks the public port, where --listen and --tls-cert, in the environment as a rule,
// say what serve was given.
type healthcheckCmd struct {
	URL     string        `name:"url" placeholder:"URL" help:"What to ask instead, such as http://10.0.0.7:3000."`
	Listen  string        `default:"127.0.0.1:3000" placeholder:"HOST:PORT" help:"Where wsd serve listens. Default ${default}."`
	TLSCert string        `name:"tls-cert" placeholder:"FILE" help:"Given where wsd serve has TLS; not read."`
	Ready   bool          `help:"Ask whether new clients may come (/readyz), not only whether the server serves (/health)."`
	Timeout time.Duration `default:"2s" help:"How long the answer may take. Default ${default}."`
}

// base is where the server is.
func (c *healthcheckCmd) base() (string, error) {
	if c.URL != "" {
		u, err := url.Parse(c.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			return "", usageError(fmt.Errorf("--url %s: want http://host:port", c.URL))
		}
		return u.Scheme + "://" + u.Host, nil
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return "", usageError(fmt.Errorf("--listen %s: want host:port: %w", c.Listen, err))
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	scheme := "http"
	if c.TLSCert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port), nil
}

// Run fails unless the server answers that it is well.
func (c *healthcheckCmd) Run(p *process) error {
	base, err := c.base()
	if err != nil {
		return err
	}
	path := "/health"
	if c.Ready {
		path = "/readyz"
	}
	ctx, cancel := context.WithTimeout(p.ctx, c.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return usageError(err)
	}
	transport := &http.Transport{Proxy: nil, DisableKeepAlives: true}
	if c.URL == "" {
		// On this machine the certificate's name is another one.
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
	}
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // for people; the status counts
	fmt.Fprintf(p.stdout, "%s\n", oneLine(text))
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %d", base+path, res.StatusCode)
	}
	return nil
}
