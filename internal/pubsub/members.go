package pubsub

import (
	"context"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/jsontext"
	"github.com/fe4bcecb/wsd/engine"
)

// enterMembers makes a subscriber a member of its topic, and has it watch the others
// if it wants to.
func (c *Client) enterMembers(sub *subscription) {
	s, name := c.server, sub.local.topic.name
	if s.members == nil || sub.entered {
		return
	}
	sub.entered = true
	// What can't be told now is told again.
	_ = s.members.Enter(name, c.member())
	if sub.presence {
		s.watch(sub.local, 1)
	}
}

// exitMembers ends what enterMembers began.
func (c *Client) exitMembers(sub *subscription) {
	s := c.server
	if !sub.entered {
		return
	}
	if sub.presence {
		s.watch(sub.local, -1)
	}
	_ = s.members.Exit(sub.local.topic.name, c.id) // likewise
}

func (c *Client) member() broker.TopicMember {
	return broker.TopicMember{User: c.account.User, Connection: c.id}
}

// watch counts who wants to know of joins and leaves.
func (s *Server) watch(l *local, by int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := l.topic
	t.mu.Lock()
	l.watchers += by
	t.mu.Unlock() // Members call memberChanged with locks of their own held
	switch t.watchers += by; {
	case by > 0 && t.watchers == 1:
		s.members.Watch(t.name)
	case t.watchers == 0:
		s.members.Unwatch(t.name)
	}
}

// memberChanged tells those who want to know of a join or a leave.
func (s *Server) memberChanged(name string, m broker.TopicMember, joined bool) {
	t := s.find(name)
	if t == nil {
		return
	}
	op := `{"op":"leave","topic":`
	if joined {
		op = `{"op":"join","topic":`
	}
	b := appendMember(append(append(make([]byte, 0, 128), op...), t.quoted...), ',', m)
	b = append(b, '}')
	t.spread(delivery{
		kind: memberDelivery, message: engine.NewPreparedMessage(b, engine.Text), size: len(b), about: m.Connection,
	})
}

// membersMissed tells those who want to know that joins or leaves may be missing.
func (s *Server) membersMissed(name string) {
	if t := s.find(name); t != nil {
		t.spread(delivery{kind: outdatedDelivery})
	}
}

// appendMember writes the fields of a member behind a byte.
func appendMember(dst []byte, before byte, m broker.TopicMember) []byte {
	dst = append(dst, before)
	dst = append(dst, `"user":`...)
	dst = jsontext.AppendQuoted(dst, m.User)
	dst = append(dst, `,"connection":`...)
	return jsontext.AppendQuoted(dst, m.Connection)
}

// appendMembers writes the members of a topic, as many as begin within so many bytes,
// and how many there are.
func appendMembers(dst []byte, members []broker.TopicMember, total, most int) []byte {
	dst = append(dst, `,"members":[`...)
	start := len(dst)
	for i, m := range members {
		if len(dst)-start >= most {
			break
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendMember(dst, '{', m), '}')
	}
	return appendNumber(append(dst, `],"total":`...), int64(total))
}

// listMembers asks for the members of a topic and goes on on the loop. Errors are
// those of Members and errBusy.
func (c *Client) listMembers(topic string, then func(members []broker.TopicMember, total int, err error)) {
	s := c.server
	if err := c.ask(job{lists: true, do: func() func() {
		ctx, cancel := context.WithTimeout(s.ctx, s.opts.Timeout)
		defer cancel()
		members, total, err := s.members.List(ctx, topic, s.opts.MaxMembers)
		return func() { then(members, total, err) }
	}}); err != nil {
		then(nil, 0, err)
	}
}

// askMembers answers with the members of a topic.
func (c *Client) askMembers(id, topic string) {
	switch {
	case !may(c.account.Subscribe, topic):
		c.refuse(id, failure{forbidden, "not allowed to subscribe to this topic"})
		return
	case c.server.members == nil:
		c.refuse(id, failure{unavailable, "there is no presence here"})
		return
	}
	c.listMembers(topic, func(members []broker.TopicMember, total int, err error) {
		switch {
		case err != nil:
			c.refuse(id, failureOf(err))
		case id != "":
			c.answerMembers(appendOK(c.room(), id), members, total)
		}
	})
}

// answerMembers ends an answer with members, and sends it.
func (c *Client) answerMembers(b []byte, members []broker.TopicMember, total int) {
	b = append(appendMembers(b, members, total, c.server.listBytes()), '}')
	c.listed = len(b)
	c.answer(b)
}

// listWaits reports whether an answer with members still waits for the reader. When
// it has gone, drained pumps, or what this has posted.
func (c *Client) listWaits() bool {
	switch {
	case c.listed == 0:
		return false
	case c.ws.BufferedAmount() == 0:
		c.listed = 0
		return false
	case c.ws.Writable() && !c.looking:
		c.looking = true
		c.ws.Loop().Post(func() {
			c.looking = false
			c.pump()
		})
	}
	return true
}
