package redis

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"
)

// Keys of presence. Those of one user have the user in their hash tag.
const (
	leaseKey = "wsd:node:"      // and the server: its lease
	usersKey = "wsd:nodeusers:" // and the server: a set of the users that it told of
	nodesKey = "wsd:nodes"      // a set of all servers that have not left
	inboxKey = "wsd:inbox:"     // and the server: the channel of what is sent to it
	ownerKey = "user:connections"
)

func connectionsKey(user string) string { return "wsd:{u:" + user + "}:conns" }

// entryKey is where Node servers read of a user.
func entryKey(user string) string { return "user:" + user }

// grant is the value of a lease. Its first field is the holder's, so that values
// of one holder begin alike.
type grant struct {
	Token   string            `json:"token,omitempty"`   // of a server
	Sweeper string            `json:"sweeper,omitempty"` // of who clears up behind a server that died
	Started int64             `json:"started,omitempty"` // Unix milliseconds
	UIDs    map[string]string `json:"uids,omitempty"`    // by namespace
}

// newToken is a secret by which a lease is known again.
func newToken() string {
	var b [12]byte
	// crypto/rand.Read never fails.
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// text is the grant as it is stored.
func (g *grant) text() string {
	b, err := json.Marshal(g)
	if err != nil {
		panic(err) // strings and numbers can be encoded
	}
	return string(b)
}

// holder is how all values of the grant's holder begin.
func (g *grant) holder() string {
	if g.Token != "" {
		return `{"token":"` + g.Token + `"`
	}
	return `{"sweeper":"` + g.Sweeper + `"`
}

// errTaken says that another process has this server's name.
type errTaken struct{ server, holder string }

func (e *errTaken) Error() string {
	return fmt.Sprintf("the server name %q is taken: another process holds its lease (%.120s)", e.server, e.holder)
}

// swept reports whether the other process only clears up.
func (e *errTaken) swept() bool { return strings.HasPrefix(e.holder, `{"sweeper":`) }

// hold takes or keeps the lease of a server. fresh tells that nobody held it.
func (b *Broker) hold(ctx context.Context, s *script, server string, g *grant, life time.Duration) (fresh bool, err error) {
	r := b.run(ctx, s, leaseKey+server, g.holder(), g.text(), fmt.Sprint(life.Milliseconds()))
	answer, err := r.ToString()
	switch {
	case err != nil:
		return false, err
	case answer == "new", answer == "kept":
		return answer == "new", nil
	}
	return false, &errTaken{server, answer}
}

// lease is a server's own, by this process's knowledge.
type lease struct {
	mu     sync.Mutex
	until  time.Time // it stands until then
	reason string    // why it does not
}

// kept notes that the lease was asked for at a time, and granted.
func (l *lease) kept(asked time.Time, life time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.reason = asked.Add(life), ""
}

// failed notes why it was not granted. A lease that another process holds has
// ended; one that could not be asked for runs on.
func (l *lease) failed(err error, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reason = err.Error()
	if ended {
		l.until = time.Time{}
	}
}

// stands reports whether others see this server; if not, why.
func (l *lease) stands(now time.Time) (reason string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.until) {
		return "", true
	}
	if l.reason == "" {
		return "the server's lease is not taken yet", false
	}
	return l.reason, false
}
