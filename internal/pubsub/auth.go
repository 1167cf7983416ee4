package pubsub

import (
	"context"
	"errors"
	"slices"
	"time"
)

// closeExpired is the close code for a connection whose token has run out: nothing
// is wrong with what it did, so it is none of RFC 6455's.
const closeExpired = 4401

// reauthenticate takes a new token for the connection.
func (c *Client) reauthenticate(id, token string) {
	s := c.server
	switch {
	case token == "":
		c.refuse(id, failure{badRequest, "token is missing, or empty"})
		return
	case s.opts.Verify == nil:
		c.refuse(id, failure{unauthorized, "this server takes no tokens"})
		return
	}
	c.ask(id, func() (then func()) {
		ctx, cancel := context.WithTimeout(s.ctx, s.opts.Timeout)
		defer cancel()
		a, err := s.opts.Verify(ctx, token)
		return func() { c.verified(id, a, err) }
	})
}

// verified ends reauthenticate.
func (c *Client) verified(id string, a Account, err error) {
	var why *Refused
	switch {
	case errors.As(err, &why):
		c.refuse(id, failure{code(max(0, slices.Index(codeNames[:], why.Code))), why.Text})
		return
	case err != nil:
		c.refuse(id, failure{unavailable, "the token can't be verified now"})
		return
	case a.User != c.account.User && c.account.User != "":
		c.refuse(id, failure{forbidden, "the token is another user's"})
		return
	}
	c.account = a
	c.watchExpiry()
	c.ok(id)
	for _, sub := range c.subs {
		if !may(a.Subscribe, sub.local.topic.name) {
			c.leave(sub)
			c.server.count.errors[forbidden].Add(1)
			c.answer(appendError(c.room(), "", sub.local.topic.name, failure{forbidden, "not allowed to stay subscribed to this topic"}))
		}
	}
}

// watchExpiry closes the connection when its token runs out.
func (c *Client) watchExpiry() {
	if c.expiry != nil {
		c.expiry.Stop()
		c.expiry = nil
	}
	if c.account.Expires.IsZero() {
		return
	}
	loop := c.ws.Loop()
	c.expiry = time.AfterFunc(time.Until(c.account.Expires), func() { loop.Post(c.expire) })
}

// expire says that the token has run out, unless there is a newer one.
func (c *Client) expire() {
	if c.gone || c.account.Expires.IsZero() || time.Now().Before(c.account.Expires) {
		return
	}
	c.refuse("", failure{expired, "the token has expired"})
	c.ws.Close(closeExpired, "token expired")
}
