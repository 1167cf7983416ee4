package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"time"

	"github.com/fe4bcecb/wsd/cmd/wsd/api"
)

// drainLook is how often `wsd drain --wait` looks whether the server is gone.
const drainLook = 200 * time.Millisecond

// drainCmd is `wsd drain`.
type drainCmd struct {
	Wait        bool          `help:"Return when the server has ended."`
	WaitTimeout time.Duration `default:"60s" help:"With --wait: fail when it takes longer. Default ${default}."`
	adminClientFlags
}

// Run has a server drain.
func (c *drainCmd) Run(p *process) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	defer client.close()
	var out api.Draining
	if err := client.do(p.ctx, http.MethodPost, "/v1/drain", api.DrainRequest{}, &out); err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "draining %d connections\n", out.Connections)
	if !c.Wait {
		return nil
	}
	ctx, cancel := context.WithTimeout(p.ctx, c.WaitTimeout)
	defer cancel()
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for !gone(ctx, client) {
		select {
		case <-ctx.Done():
			if p.ctx.Err() != nil {
				return p.ctx.Err()
			}
			return fmt.Errorf("the server still drains after %v", c.WaitTimeout)
		case <-look.C:
		}
	}
	fmt.Fprintln(p.stdout, "the server has ended")
	return nil
}

// gone reports whether the server that drains has ended: nobody listens there, or
// another one answers, which does not drain. Other failures say nothing.
func gone(ctx context.Context, client *adminClient) bool {
	err := client.do(ctx, http.MethodGet, "/health", nil, nil)
	return err == nil || errors.Is(err, syscall.ECONNREFUSED)
}
