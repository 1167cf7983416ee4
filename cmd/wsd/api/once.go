package api

import (
	"container/list"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/fe4bcecb/wsd/broker/redis"
)

const (
	// maxKeyLen is the longest idempotency key in bytes.
	maxKeyLen = 128
	// keepClaim is how long a request may be under way until its key is free again:
	// more than any takes.
	keepClaim = maxAckTimeout + 2*brokerTimeout
	// maxKept bounds an answer that is kept, in bytes.
	maxKept = 256 << 10
	// ownKeys and ownBytes bound what a server that is alone keeps.
	ownKeys  = 10_000
	ownBytes = 32 << 20
)

// note is what is kept of a request with an idempotency key.
type note struct {
	// Request tells requests apart, whatever their key.
	Request string `json:"r"`
	// Claim is whose request is under way; "" when it is over, with this answer.
	Claim  string          `json:"c,omitempty"`
	Status int             `json:"s,omitempty"`
	Body   json.RawMessage `json:"b,omitempty"`
	Error  *Error          `json:"e,omitempty"`
}

// answers keeps notes.
type answers interface {
	// claim notes n, unless there is a note already, which it returns then.
	claim(ctx context.Context, key string, n *note) (before *note, err error)
	// settle replaces the note that claim made by the answer; nil removes it.
	settle(ctx context.Context, key string, claimed, answer *note) error
}

// key is the request's idempotency key, "" for none: the field Idempotency-Key, or
// id in the body.
func key(req *http.Request, body []byte) (string, error) {
	var in struct {
		ID string `json:"id"`
	}
	_ = json.Unmarshal(body, &in) // what is wrong the route tells
	key := req.Header.Get("Idempotency-Key")
	switch {
	case key == "":
		key = in.ID
	case in.ID != "" && in.ID != key:
		return "", badRequest("id and Idempotency-Key differ")
	}
	if len(key) > maxKeyLen || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", badRequest("an idempotency key has at most %d bytes, and no control characters", maxKeyLen)
	}
	return key, nil
}

// onlyOnce runs a request, unless one with its idempotency key was before: then the
// answer of that one is given.
func (a *API) onlyOnce(req *http.Request, r *route, body []byte, run func() reply) reply {
	key, err := key(req, body)
	if err != nil {
		return reply{err: asError(err)}
	}
	if key == "" {
		return run()
	}
	sum := sha256.Sum256(append([]byte(r.path+"\n"), body...))
	mine := &note{Request: base64.RawURLEncoding.EncodeToString(sum[:12]), Claim: rand.Text()}
	// Whoever asked may leave: what is noted must be true.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(req.Context()), brokerTimeout)
	defer cancel()
	before, err := a.answers.claim(ctx, key, mine)
	switch {
	case err != nil:
		return reply{err: unavailable("the broker is not reached, so whether this was done before can't be told")}
	case before == nil:
		return a.first(key, mine, run)
	case before.Request != mine.Request:
		return reply{err: &Error{Status: http.StatusUnprocessableEntity, Code: CodeConflict, Message: "this idempotency key was another request's"}}
	case before.Claim != "":
		return reply{err: conflict("a request with this idempotency key is under way")}
	}
	a.replays.Add(1)
	return reply{status: before.Status, body: before.Body, err: before.asError(), replayed: true}
}

// asError is the error that was the answer, nil for none.
func (n *note) asError() *Error {
	if n.Error == nil {
		return nil
	}
	e := *n.Error
	e.Status = n.Status
	return &e
}

// first runs a request that has its key to itself, and keeps the answer. A failure is
// not kept, so that it can be tried again, unless a part was done.
func (a *API) first(key string, mine *note, run func() reply) (out reply) {
	var answer *note
	defer func() { // also when run panics
		ctx, cancel := context.WithTimeout(context.Background(), brokerTimeout)
		defer cancel()
		if err := a.answers.settle(ctx, key, mine, answer); err != nil {
			// The claim runs out; until then who asks again hears that it is under way.
			a.opts.Logger.Warn("the answer to a request with an idempotency key could not be kept", "err", err)
		}
	}()
	out = run()
	switch e := out.err; {
	case e == nil && len(out.body) > maxKept:
		answer = &note{Request: mine.Request, Status: http.StatusConflict, Error: conflict("this was done before; the answer was too long to be kept")}
	case e == nil:
		answer = &note{Request: mine.Request, Status: out.status, Body: out.body}
	case e.Published != nil && *e.Published > 0:
		answer = &note{Request: mine.Request, Status: e.Status, Error: e}
	}
	return out
}

// sharedAnswers keeps notes in Redis, for all servers.
type sharedAnswers struct {
	redis *redis.Broker
	ttl   time.Duration
}

func (s *sharedAnswers) claim(ctx context.Context, key string, n *note) (*note, error) {
	text, err := json.Marshal(n)
	if err != nil {
		return nil, err
	}
	noted, err := s.redis.Claim(ctx, key, string(text), keepClaim)
	if err != nil || noted == "" {
		return nil, err
	}
	before := new(note)
	if err := json.Unmarshal([]byte(noted), before); err != nil {
		return nil, err // somebody else's value
	}
	return before, nil
}

func (s *sharedAnswers) settle(ctx context.Context, key string, claimed, answer *note) error {
	token, err := json.Marshal(claimed)
	if err != nil {
		return err
	}
	var text []byte
	if answer != nil {
		if text, err = json.Marshal(answer); err != nil {
			return err
		}
	}
	return s.redis.Settle(ctx, key, string(token), string(text), s.ttl)
}

// ownAnswers keeps notes in memory, the latest ones.
type ownAnswers struct {
	ttl time.Duration
	now func() time.Time

	mu    sync.Mutex
	byKey map[string]*list.Element
	order *list.List // of *kept, the oldest first
	bytes int
}

// kept is a note in memory.
type kept struct {
	key   string
	note  *note
	until time.Time
}

func (k *kept) size() int { return len(k.key) + len(k.note.Body) + 200 }

func newOwnAnswers(ttl time.Duration) *ownAnswers {
	return &ownAnswers{ttl: ttl, now: time.Now, byKey: map[string]*list.Element{}, order: list.New()}
}

func (o *ownAnswers) claim(_ context.Context, key string, n *note) (*note, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.byKey[key]; e != nil {
		if k := e.Value.(*kept); o.now().Before(k.until) {
			return k.note, nil
		}
	}
	o.putLocked(key, n, keepClaim)
	return nil, nil
}

func (o *ownAnswers) settle(_ context.Context, key string, claimed, answer *note) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.byKey[key]
	switch {
	case e == nil || e.Value.(*kept).note != claimed:
	case answer == nil:
		o.removeLocked(e)
	default:
		o.putLocked(key, answer, o.ttl)
	}
	return nil
}

// putLocked keeps a note, and forgets the oldest where there are too many.
func (o *ownAnswers) putLocked(key string, n *note, ttl time.Duration) {
	if e := o.byKey[key]; e != nil {
		o.removeLocked(e)
	}
	k := &kept{key, n, o.now().Add(ttl)}
	o.byKey[key] = o.order.PushBack(k)
	o.bytes += k.size()
	for o.order.Len() > ownKeys || o.bytes > ownBytes {
		o.removeLocked(o.order.Front())
	}
}

func (o *ownAnswers) removeLocked(e *list.Element) {
	k := o.order.Remove(e).(*kept)
	delete(o.byKey, k.key)
	o.bytes -= k.size()
}
