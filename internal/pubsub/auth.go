package pubsub

import (
	"context"
	"errors"
	"slices"
)

// Account is who a client is and what it may do.
type Account struct {
	User string // "" for nobody
	// Subscribe and Publish say of a topic whether it is allowed; nil: all are.
	Subscribe, Publish func(topic string) bool
}

// Renewal verifies a token, and may block. done is called on the connection's loop:
// it puts the new account in the place of the old one. A *Refused is told to the
// client: its text, and its code, or if the protocol has no such code unauthorized.
type Renewal func(ctx context.Context) (done func() Account, err error)

// Refused is why a token is not accepted: a code of the protocol and a text.
type Refused struct{ Code, Text string }

func (r *Refused) Error() string { return r.Text }

// may asks an account, whose nil allows all.
func may(allowed func(string) bool, topic string) bool { return allowed == nil || allowed(topic) }

// reauthenticate takes a new token for the connection.
func (c *Client) reauthenticate(id, token string) {
	s := c.server
	switch {
	case token == "":
		c.refuse(id, failure{badRequest, "token is missing, or empty"})
		return
	case s.opts.Renew == nil:
		c.refuse(id, failure{badRequest, "this server takes no tokens"})
		return
	}
	renew := s.opts.Renew(c.ws, token)
	if err := c.ask(job{do: func() (then func()) {
		ctx, cancel := context.WithTimeout(s.ctx, s.opts.Timeout)
		defer cancel()
		done, err := renew(ctx)
		return func() { c.renewed(id, done, err) }
	}}); err != nil {
		c.refuse(id, failureOf(err))
	}
}

// renewed ends reauthenticate. Subscriptions that the new account does not allow end.
func (c *Client) renewed(id string, done func() Account, err error) {
	var why *Refused
	switch {
	case errors.As(err, &why):
		known := slices.Index(codeNames[:], why.Code)
		if known < 0 {
			known = int(unauthorized)
		}
		c.refuse(id, failure{code(known), why.Text})
		return
	case err != nil:
		c.refuse(id, failure{unavailable, "the token can't be verified now"})
		return
	}
	c.account = done()
	c.ok(id)
	for name, sub := range c.subs {
		if !may(c.account.Subscribe, name) {
			waits := "" // the request that is answered with this
			if !sub.answered {
				waits = sub.id
			}
			c.leave(sub)
			c.server.count.errors[forbidden].Add(1)
			c.answer(appendError(c.room(), waits, name, failure{forbidden, "not allowed to stay subscribed to this topic"}))
		}
	}
}

// Expire tells the client that its token has run out, before the connection is
// closed for it. Call on the connection's loop.
func (c *Client) Expire() {
	if c.ws != nil && !c.gone {
		c.refuse("", failure{expired, "the token has expired"})
	}
}
