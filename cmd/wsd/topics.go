package main

import (
	"fmt"
	"net/http"
	"net/url"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/engine"
)

// closePolicy is the code for a client that does what it said it would not.
const closePolicy engine.StatusCode = 1008 // RFC 6455 7.4.1

// maxTopics is how many topics one connection may subscribe to.
const maxTopics = 64

// membership is what the URL of a topics connection asks for.
type membership struct {
	topic      string   // in the path: published to
	subscribed []string // topic and every ?topic=; nil with mode=pub
	publishes  bool     // not with mode=sub
	self       bool     // gets its own messages as well
}

// parseMembership reads the path's topic and the query:
//
//	?topic=x   one more to subscribe to, repeatable
//	?mode=sub  only receives      ?mode=pub  only publishes
//	?self=1    also receives what it publishes itself
func parseMembership(topic string, query url.Values) (*membership, error) {
	m := &membership{topic: topic, publishes: true}
	if err := checkTopic(topic); err != nil {
		return nil, err
	}
	subscribed := []string{topic}
	for _, extra := range query["topic"] {
		if err := checkTopic(extra); err != nil {
			return nil, err
		}
		subscribed = append(subscribed, extra)
	}
	if len(subscribed) > maxTopics {
		return nil, fmt.Errorf("%d topics, at most %d", len(subscribed), maxTopics)
	}
	switch mode := query.Get("mode"); mode {
	case "":
		m.subscribed = subscribed
	case "sub":
		m.subscribed, m.publishes = subscribed, false
	case "pub":
	default:
		return nil, fmt.Errorf("mode %q: want sub or pub", mode)
	}
	switch self := query.Get("self"); self {
	case "", "0":
	case "1":
		m.self = true
	default:
		return nil, fmt.Errorf("self %q: want 1 or 0", self)
	}
	return m, nil
}

func checkTopic(topic string) error {
	switch {
	case topic == "":
		return fmt.Errorf("the path names no topic: want /topics/{topic}")
	case len(topic) > engine.MaxTopicLen:
		return fmt.Errorf("a topic of %d bytes, at most %d", len(topic), engine.MaxTopicLen)
	case !utf8.ValidString(topic):
		return fmt.Errorf("a topic that is not UTF-8")
	}
	return nil
}

// topics makes b the publish/subscribe route: a connection subscribes to the
// topic in its path, and what it sends is published there as it is.
func (s *server) topics(b engine.Behavior) engine.Behavior {
	b.Open = func(ws *engine.Conn) {
		for _, topic := range rawClientOf(ws).data.(*membership).subscribed {
			ws.Subscribe(topic)
		}
	}
	b.Message = func(ws *engine.Conn, msg []byte, op engine.OpCode) {
		m := rawClientOf(ws).data.(*membership)
		var err error
		switch {
		case !m.publishes:
			ws.Close(closePolicy, "mode=sub: this connection only receives")
		case m.self:
			err = s.app.Publish(m.topic, msg, op)
		default:
			err = ws.Publish(m.topic, msg, op)
		}
		if err != nil {
			s.log.Warn("a publication did not reach every subscriber", "err", err)
		}
	}
	return s.admission(b, func(u *engine.Handshake, who *account) {
		m, err := parseMembership(u.Param("topic"), u.QueryValues())
		if err != nil {
			s.reject(u, reasonBadRequest, http.StatusBadRequest, err.Error())
			return
		}
		if err := m.allowedTo(who); err != nil {
			s.reject(u, reasonAuth, http.StatusForbidden, err.Error())
			return
		}
		s.welcome(u, who, m, engine.Accept{})
	})
}

// allowedTo holds m against what a token allows; a nil who may do anything.
func (m *membership) allowedTo(who *account) error {
	for _, topic := range m.subscribed {
		if !who.maySubscribe(topic) {
			return fmt.Errorf("the token does not allow to subscribe to %q", topic)
		}
	}
	if m.publishes && !who.mayPublish(m.topic) {
		return fmt.Errorf("the token does not allow to publish to %q: with mode=sub a connection only receives", m.topic)
	}
	return nil
}
