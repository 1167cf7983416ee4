package engine_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/engine"
)

// brokenBroker refuses what is published and can be told to report gaps.
type brokenBroker struct {
	receiver chan broker.TopicsReceiver
}

type brokenNode struct{ broker.Node }

func (b brokenBroker) Join(r broker.TopicsReceiver) (broker.Node, error) {
	b.receiver <- r
	return brokenNode{}, nil
}

func (brokenBroker) Close() error { return nil }

func (brokenNode) Subscribe(string)             {}
func (brokenNode) Unsubscribe(string)           {}
func (brokenNode) Publish(broker.Message) error { return broker.ErrUnavailable }
func (brokenNode) Health() broker.Health        { return broker.Health{Reason: "broken"} }
func (brokenNode) Leave() error                 { return nil }

func (brokenNode) PublishWait(context.Context, broker.Message) (string, error) {
	return "", broker.ErrUnavailable
}

func (brokenNode) History(context.Context, string, string, int) (broker.History, error) {
	return broker.History{}, broker.ErrUnavailable
}

// durable is a Memory of which all topics keep history.
func durable() *broker.Memory {
	return &broker.Memory{Durable: func(string) (broker.Retention, bool) {
		return broker.Retention{Messages: 100}, true
	}}
}

func TestPublishWaitReachesBothSides(t *testing.T) {
	memory, ctx := durable(), context.Background()
	var apps []*engine.App
	var conns []*client
	for range 2 {
		s := newScript(engine.Options{Loops: 2, Broker: memory}, engine.Behavior{})
		c := dial(t, serve(t, s.app), "/")
		c.text("sub t\nsend ready")
		c.wantText("ready")
		apps, conns = append(apps, s.app), append(conns, c)
	}
	var offsets []string
	for i, app := range apps {
		offset, err := app.PublishWait(ctx, "t", fmt.Append(nil, "from ", i), engine.Text)
		if offset == "" || err != nil {
			t.Fatalf("offset %q, %v", offset, err)
		}
		offsets = append(offsets, offset)
	}
	for _, c := range conns {
		c.wantText("from 0")
		c.wantText("from 1")
	}
	h, err := apps[0].History(ctx, "t", offsets[0], 10)
	if err != nil || len(h.Messages) != 1 || string(h.Messages[0].Data) != "from 1" || h.Last != offsets[1] || !h.Complete {
		t.Errorf("history after %q: %+v, %v", offsets[0], h, err)
	}
}

func TestPublishWaitWithoutBroker(t *testing.T) {
	s := newScript(engine.Options{Loops: 1}, engine.Behavior{})
	c := dial(t, serve(t, s.app), "/")
	c.text("sub t\nsend ready")
	c.wantText("ready")
	ctx := context.Background()
	if offset, err := s.app.PublishWait(ctx, "t", []byte("1"), engine.Text); offset != "" || err != nil {
		t.Errorf("offset %q, %v", offset, err)
	}
	c.wantText("1")
	if _, err := s.app.History(ctx, "t", "", 1); !errors.Is(err, broker.ErrNoHistory) {
		t.Errorf("History: %v", err)
	}
}

// Local delivery does not depend on the broker, and an error is no lie about it.
func TestPublishWaitOverABrokenBroker(t *testing.T) {
	b := brokenBroker{make(chan broker.TopicsReceiver, 1)}
	gaps := make(chan string, 1)
	s := newScript(engine.Options{Loops: 2, Broker: b, Gap: func(topic string, g broker.Gap) {
		gaps <- fmt.Sprint(topic, " ", g.Reason, " ", g.Lost)
	}}, engine.Behavior{})
	ctx := context.Background()
	if _, err := s.app.PublishWait(ctx, "t", nil, engine.Text); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("PublishWait before Serve: %v", err)
	}
	if _, err := s.app.History(ctx, "t", "", 1); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("History before Serve: %v", err)
	}
	c := dial(t, serve(t, s.app), "/")
	c.text("sub t\nsend ready")
	c.wantText("ready")
	if _, err := s.app.PublishWait(ctx, "t", []byte("1"), engine.Text); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("PublishWait: %v", err)
	}
	c.wantText("1")
	if _, err := s.app.History(ctx, "t", "", 1); !errors.Is(err, broker.ErrUnavailable) {
		t.Errorf("History: %v", err)
	}
	(<-b.receiver).Gap("t", broker.Gap{Reason: broker.Trimmed, Lost: 3})
	if got := <-gaps; got != "t trimmed 3" {
		t.Errorf("gap %q", got)
	}
}

func TestPublishWaitRefuses(t *testing.T) {
	errs := make(chan error, 2)
	var app *engine.App
	app = engine.New(engine.Options{Loops: 1, Broker: durable()}).WS("/", engine.Behavior{
		Message: func(*engine.Conn, []byte, engine.OpCode) {
			_, err := app.PublishWait(context.Background(), "t", nil, engine.Text)
			errs <- err
			_, err = app.History(context.Background(), "t", "", 1)
			errs <- err
		},
	})
	c := dial(t, serve(t, app), "/")
	c.text("go")
	for range 2 {
		if err := <-errs; !errors.Is(err, engine.ErrOnLoop) {
			t.Errorf("on a loop: %v", err)
		}
	}
	for _, topic := range []string{"", strings.Repeat("x", engine.MaxTopicLen+1)} {
		if _, err := app.PublishWait(context.Background(), topic, nil, engine.Text); !errors.Is(err, engine.ErrTopic) {
			t.Errorf("PublishWait to a topic of %d bytes: %v", len(topic), err)
		}
		if _, err := app.History(context.Background(), topic, "", 1); !errors.Is(err, engine.ErrTopic) {
			t.Errorf("History of a topic of %d bytes: %v", len(topic), err)
		}
	}
	h, err := app.History(context.Background(), "t", "", 1)
	if err != nil || len(h.Messages) != 0 {
		t.Errorf("a refused publication is in the log: %+v, %v", h, err)
	}
}
