package pubsub

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/engine"
)

// Close codes, RFC 6455 7.4.1.
const closePolicy engine.StatusCode = 1008

// Client is one connection. Its state belongs to the connection's loop.
type Client struct {
	server  *Server
	account Account
	ws      *engine.Conn // nil before open
	shard   *shard
	id      string
	gone    bool

	subs    map[string]*subscription
	pending int // publications without an answer of the broker
	// dropping is true while something of a topic is missing, because the reader is
	// slow, of which it was not told.
	dropping bool

	// What asks the broker, one thing at a time: jobs first, and then the logs of
	// topics that are behind.
	jobs    []job
	waiting bool

	// listed is how long the last answer with members was, until all that waits for
	// the reader has gone: such answers are queued one at a time.
	listed  int
	looking bool // at the end of the turn, whether it has
}

// job asks something that may block, and goes on with the answer on the loop.
type job struct {
	do    func() (then func())
	lists bool // the answer has members
}

// errBusy says that too many jobs wait.
var errBusy = errors.New("pubsub: too many requests wait")

// NewClient makes what ClientOf has to return for a connection, before it is open.
func (s *Server) NewClient(a Account) *Client {
	return &Client{server: s, account: a, subs: map[string]*subscription{}}
}

// newID makes the id of a connection.
func newID() string {
	var b [12]byte
	_, _ = rand.Read(b[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// ID is the connection's, "" before it is open.
func (c *Client) ID() string { return c.id }

// User is who the client is, "" for nobody. Call on the connection's loop.
func (c *Client) User() string { return c.account.User }

// Topics are those that the client is subscribed to. Call on the connection's loop.
func (c *Client) Topics() []string {
	names := make([]string, 0, len(c.subs))
	for name := range c.subs {
		names = append(names, name)
	}
	return names
}

func (c *Client) open(ws *engine.Conn) {
	s := c.server
	c.ws, c.shard, c.id = ws, s.shardOf(ws.Loop()), newID()
	s.count.connections.Add(1)
	c.answer(appendHello(c.room(), s.opts.Server, c.id, int(s.limits.Load().Ping/time.Second)))
}

func (c *Client) closed() {
	c.gone = true
	c.server.count.connections.Add(-1)
	for _, sub := range c.subs {
		c.leave(sub)
	}
	c.jobs = nil
}

// room is the loop's buffer for an answer.
func (c *Client) room() []byte { return c.shard.out[:0] }

// answer sends what no policy may drop. A client that does not read even that is
// closed.
func (c *Client) answer(b []byte) {
	if cap(b) <= maxScratch {
		c.shard.out = b
	}
	if (!c.fitsBeside(len(b), reserve) || c.ws.Send(b, engine.Text) == engine.Dropped) && !c.gone {
		c.ws.Close(closePolicy, "too slow")
	}
}

// refuse answers a request with an error.
func (c *Client) refuse(id string, f failure) {
	c.server.count.errors[f.code].Add(1)
	c.answer(appendError(c.room(), id, "", f))
}

// ok answers a request that has nothing more to tell.
func (c *Client) ok(id string) {
	if id != "" {
		c.answer(append(appendOK(c.room(), id), '}'))
	}
}

// receive acts on a message.
//
// Hot path: per message.
func (c *Client) receive(msg []byte, op engine.OpCode) {
	c.server.count.requests.Add(1)
	if op != engine.Text {
		c.refuse("", failure{badRequest, "a binary message: want JSON as text"})
		return
	}
	var r request
	why, ok := c.shard.parser.parse(&r, msg)
	id := string(r.id)
	if !ok {
		c.refuse(id, why)
		return
	}
	switch r.op {
	case "ping":
		c.ok(id)
		return
	case "auth":
		c.reauthenticate(id, string(r.token))
		return
	}
	if why, ok := checkTopic(r.topic); !ok {
		c.refuse(id, why)
		return
	}
	switch r.op {
	case "publish":
		c.publish(id, &r)
	case "subscribe":
		c.subscribe(id, &r)
	case "unsubscribe":
		c.unsubscribe(id, string(r.topic))
	case "presence":
		c.askMembers(id, string(r.topic))
	}
}

// publish hands a message to the broker, which answers later.
func (c *Client) publish(id string, r *request) {
	s, topic := c.server, string(r.topic)
	data, op := r.data, engine.OpCode(engine.Text)
	if r.bytes != nil {
		data, op = r.bytes, engine.Binary
	}
	switch {
	case (r.data == nil) == (r.bytes == nil):
		c.refuse(id, failure{badRequest, "want data or base64"})
	case len(data) > s.opts.MaxPayload:
		c.refuse(id, failure{tooLarge, "the data is larger than the server takes"})
	case !may(c.account.Publish, topic):
		c.refuse(id, failure{forbidden, "not allowed to publish to this topic"})
	case c.pending >= s.limits.Load().MaxPending:
		c.refuse(id, failure{limit, "too many publications wait for the broker"})
	default:
		c.pending++
		shard := c.shard
		err := s.opts.App.PublishThen(topic, data, op, func(offset string, err error) {
			shard.push(delivery{kind: answerDelivery, client: c, answer: id, offset: offset, err: err})
		})
		if err != nil {
			c.published(id, "", err)
		}
	}
}

// published answers a publication.
func (c *Client) published(id, offset string, err error) {
	c.pending--
	if c.gone {
		return
	}
	if err != nil {
		c.refuse(id, failureOf(err))
		return
	}
	c.server.count.published.Add(1)
	if id == "" {
		return
	}
	b := appendOK(c.room(), id)
	if offset != "" {
		b = appendOffset(b, offset)
	}
	c.answer(append(b, '}'))
}

// failureOf is how an error of the App or the broker is told.
func failureOf(err error) failure {
	switch {
	case errors.Is(err, errBusy):
		return failure{limit, "too many requests wait"}
	case errors.Is(err, broker.ErrOverflow), errors.Is(err, engine.ErrOverloaded):
		return failure{limit, "the server's queue is full"}
	case errors.Is(err, broker.ErrOffset):
		return failure{badRequest, "the offset is none of this server's"}
	case errors.Is(err, engine.ErrTopic):
		return failure{badRequest, "no topic has such a name"}
	}
	return failure{unavailable, "the broker can't be reached"}
}

// ask runs a job when those before it are done. The error is errBusy.
func (c *Client) ask(j job) error {
	if len(c.jobs) >= c.server.limits.Load().MaxTopics+8 {
		return errBusy
	}
	c.jobs = append(c.jobs, j)
	c.pump()
	return nil
}

// pump starts what is to be asked next.
func (c *Client) pump() {
	if c.waiting || c.gone {
		return
	}
	do := c.nextJob()
	if do == nil || c.waiting { // a log that was at its end has begun another job
		return
	}
	c.waiting = true
	loop := c.ws.Loop()
	c.server.jobs.run(func() {
		then := do()
		loop.Post(func() {
			c.waiting = false
			if !c.gone {
				then()
				c.pump()
			}
		})
	})
}

// nextJob takes what is to be asked next; nil: nothing now.
func (c *Client) nextJob() func() (then func()) {
	for i, j := range c.jobs {
		if !j.lists || !c.listWaits() {
			c.jobs = slices.Delete(c.jobs, i, i+1)
			return j.do
		}
	}
	return c.nextRead()
}

// drained is called when a slow reader has read all that waited.
func (c *Client) drained() {
	if c.dropping {
		c.dropping = false
		for _, sub := range c.subs {
			sub.tellWhereItFits()
		}
	}
	c.pump()
}

// fits reports whether a message of n bytes may be sent now.
func (c *Client) fits(n int) bool { return c.fitsBeside(n, 0) }

// fitsBeside is fits with some bytes more than MaxBackpressure. An answer with
// members, which may be larger than all of that, does not count.
func (c *Client) fitsBeside(n, more int) bool {
	if c.ws.Writable() {
		return true
	}
	most := c.server.opts.MaxBackpressure
	if most < 0 {
		return true
	}
	waiting := c.ws.BufferedAmount()
	return waiting == 0 || waiting+n <= most+more+c.listed
}
