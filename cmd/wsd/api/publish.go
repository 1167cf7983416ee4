package api

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/fe4bcecb/wsd/engine"
)

const (
	// brokerTimeout is how long the broker may take with a message.
	brokerTimeout = 5 * time.Second
	// maxBatch is how many messages a batch may have, and batchTimeout how long it
	// may take.
	maxBatch     = 1000
	batchTimeout = 30 * time.Second
)

// Message is one publication.
type Message struct {
	Topic string `json:"topic"`
	// Data is published as text: a string as it is, anything else as its JSON.
	Data json.RawMessage `json:"data,omitempty"`
	// Base64 is published as a binary message.
	Base64 *string `json:"base64,omitempty"`
}

// PublishRequest is the body of POST /v1/publish.
type PublishRequest struct {
	Message
	ID string `json:"id,omitempty"` // idempotency key
}

// BatchRequest is the body of POST /v1/batch.
type BatchRequest struct {
	Messages []Message `json:"messages"`
	ID       string    `json:"id,omitempty"` // idempotency key
}

// Published tells of a message that was published.
type Published struct {
	// Offset is its place in the topic's history; "": the topic keeps none.
	Offset string `json:"offset,omitempty"`
	// Local is how many subscribers the topic had on this server.
	Local int `json:"local"`
}

// BatchResult tells of a batch, message by message.
type BatchResult struct {
	Results []Published `json:"results"`
}

// payload is what a message publishes.
func (m *Message) payload() (data []byte, op engine.OpCode, err error) {
	switch {
	case m.Topic == "":
		return nil, 0, badRequest("topic is missing")
	case len(m.Topic) > engine.MaxTopicLen:
		return nil, 0, badRequest("topic has %d bytes, at most %d", len(m.Topic), engine.MaxTopicLen)
	case (m.Data == nil) == (m.Base64 == nil):
		return nil, 0, badRequest("want either data or base64")
	case m.Base64 != nil:
		data, err = base64.StdEncoding.DecodeString(*m.Base64)
		if err != nil {
			return nil, 0, badRequest("base64 is malformed")
		}
		return data, engine.Binary, nil
	case m.Data[0] != '"':
		return m.Data, engine.Text, nil
	}
	var text string
	if err := json.Unmarshal(m.Data, &text); err != nil || !utf8.ValidString(text) {
		return nil, 0, badRequest("data is malformed")
	}
	return []byte(text), engine.Text, nil
}

func (a *API) publish(ctx context.Context, req *PublishRequest) (any, error) {
	data, op, err := req.payload()
	if err != nil {
		return nil, err
	}
	// Whoever asked may leave: what is begun is done.
	return a.publishOne(context.WithoutCancel(ctx), req.Topic, data, op)
}

// publishOne publishes a message. Without an error the broker has it.
func (a *API) publishOne(ctx context.Context, topic string, data []byte, op engine.OpCode) (Published, error) {
	if err := a.reachable(); err != nil {
		return Published{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, brokerTimeout)
	defer cancel()
	local := a.subscribers(topic)
	offset, err := a.opts.App.PublishWait(ctx, topic, data, op)
	return Published{Offset: offset, Local: local}, err
}

// reachable refuses what other servers are to hear when they can't: nobody is to get
// it then, so that it can be sent again.
func (a *API) reachable() error {
	if a.opts.Redis == nil {
		return nil
	}
	if h := a.opts.Redis.Health(); !h.Up {
		return unavailable("the broker is not reached, so nothing was sent: %s", h.Reason)
	}
	return nil
}

func (a *API) batch(ctx context.Context, req *BatchRequest) (any, error) {
	if n := len(req.Messages); n == 0 || n > maxBatch {
		return nil, badRequest("%d messages, want 1 to %d", n, maxBatch)
	}
	type ready struct {
		data []byte
		op   engine.OpCode
	}
	all := make([]ready, len(req.Messages))
	for i := range req.Messages {
		var err error
		if all[i].data, all[i].op, err = req.Messages[i].payload(); err != nil {
			return nil, badRequest("messages[%d]: %v", i, err)
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), batchTimeout)
	defer cancel()
	out := BatchResult{Results: make([]Published, 0, len(all))}
	for i, m := range all {
		p, err := a.publishOne(ctx, req.Messages[i].Topic, m.data, m.op)
		if err != nil {
			e := *asError(err)
			e.Message = fmt.Sprintf("messages[%d]: %s", i, e.Message)
			e.Published = &i
			return nil, &e
		}
		out.Results = append(out.Results, p)
	}
	return out, nil
}
