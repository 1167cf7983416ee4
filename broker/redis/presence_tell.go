package redis

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

const (
	// tellBatch is how many users are told again before the answers are awaited.
	tellBatch = 128
	// tellPause is the time between two such batches, in which others get their
	// turn at the server.
	tellPause = 4 * time.Millisecond
	// settleRounds bounds how often the entry of a user follows other servers'
	// connections that end meanwhile.
	settleRounds = 8
	// orderSize is about what a command of presence takes in a lane's queue beside
	// its user and connection, in bytes.
	orderSize = 256
)

// Enter implements broker.PresenceNode.
func (n *presenceNode) Enter(user, connection string, at time.Time) error {
	if err := broker.CheckUser(user); err != nil {
		return err
	}
	c := presentConn{connection, max(at.UnixMilli(), 0)}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left || n.ctx.Err() != nil {
		return broker.ErrClosed
	}
	all := slices.DeleteFunc(n.users[user], func(x presentConn) bool { return x.id == connection })
	i, _ := slices.BinarySearchFunc(all, c, func(a, b presentConn) int {
		return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.id, b.id))
	})
	n.users[user] = slices.Insert(all, i, c)
	return n.tellLocked(user, func() error { return n.pushEnter(user, c, len(all) == 0) })
}

// Exit implements broker.PresenceNode.
func (n *presenceNode) Exit(user, connection string) error {
	if err := broker.CheckUser(user); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left || n.ctx.Err() != nil {
		return broker.ErrClosed
	}
	all := n.users[user]
	i := slices.IndexFunc(all, func(x presentConn) bool { return x.id == connection })
	if i < 0 {
		return nil
	}
	c, last := all[i], len(all) == 1
	if last {
		delete(n.users, user)
	} else {
		n.users[user] = slices.Delete(all, i, i+1)
	}
	return n.tellLocked(user, func() error { return n.pushExit(user, c, last) })
}

// tellLocked has push tell of a change that is already noted. What can't be told
// now is told again, as a whole, when that is possible.
func (n *presenceNode) tellLocked(user string, push func() error) error {
	_, stands := n.lease.stands(time.Now())
	if _, dirty := n.dirty[user]; dirty || !stands {
		n.dirty[user] = struct{}{}
		return n.lane.state()
	}
	err := push()
	if err != nil {
		n.againLocked(user)
	}
	return err
}

// again has a user be told again as a whole.
func (n *presenceNode) again(user string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.againLocked(user)
}

func (n *presenceNode) againLocked(user string) {
	if n.left {
		return
	}
	n.dirty[user] = struct{}{}
	n.signal()
}

// retry is what becomes of a user of whom a command has failed.
func (n *presenceNode) retry(user string) func(error) {
	return func(err error) {
		if err != nil {
			n.again(user)
		}
	}
}

// push queues one command of presence. done gets its error: not that of keys which
// another program holds in another form, or that this one may not touch.
func (n *presenceNode) push(user string, build func(rueidis.Builder) rueidis.Completed, done func(rueidis.RedisResult, error)) error {
	return n.lane.push(orderSize+len(user), build, func(r rueidis.RedisResult) {
		err := r.Error()
		if rueidis.IsRedisNil(err) {
			err = nil
		}
		if unusable(err) {
			n.complain("redis: a key of presence can't be used", "user", user, "error", err)
			err = nil
		}
		done(r, err)
	})
}

// unusable reports whether an error is a server's, of a key that another program
// has in another form, or that this one may not touch: the same command will fail
// again.
func unusable(err error) bool {
	var refused *rueidis.RedisError
	return errors.As(err, &refused) && (strings.Contains(refused.Error(), "WRONGTYPE") || strings.HasPrefix(refused.Error(), "NOPERM"))
}

// pushScript is push of a script.
func (n *presenceNode) pushScript(user string, s *script, key string, args []string, done func(rueidis.RedisResult, error)) error {
	return n.push(user, func(b rueidis.Builder) rueidis.Completed { return s.build(b, key, args...) }, func(r rueidis.RedisResult, err error) {
		if err != nil {
			err = s.check(r)
		}
		done(r, err)
	})
}

// pushEnter tells of a new connection, which is the newest one; first is the
// user's first one here.
func (n *presenceNode) pushEnter(user string, c presentConn, first bool) error {
	retry := n.retry(user)
	done := func(_ rueidis.RedisResult, err error) { retry(err) }
	at := strconv.FormatInt(c.at, 10)
	if first {
		if err := n.pushMember(user, true, done); err != nil {
			return err
		}
	}
	// Others settle by what is told: so it is to be there before Node reads of it. In
	// a Cluster the keys are several servers', which keep no order between them.
	ordered := !n.b.clustered()
	err := n.pushScript(user, n.scripts.tell, connectionsKey(user), []string{n.server, "enter", c.id, at}, func(_ rueidis.RedisResult, err error) {
		if err == nil && !ordered {
			err = n.pushNewest(user, c.id, at, done)
		}
		retry(err)
	})
	if err != nil || !ordered {
		return err
	}
	return n.pushNewest(user, c.id, at, done)
}

// pushNewest has Node servers read of a connection to this server.
func (n *presenceNode) pushNewest(user, id, at string, done func(rueidis.RedisResult, error)) error {
	if err := n.push(user, func(b rueidis.Builder) rueidis.Completed {
		return b.Hset().Key(entryKey(user)).FieldValue().
			FieldValue("socketId", id).FieldValue("serverId", n.server).FieldValue("connectedAt", at).FieldValue("status", "online").Build()
	}, done); err != nil {
		return err
	}
	return n.push(user, func(b rueidis.Builder) rueidis.Completed {
		return b.Hset().Key(ownerKey).FieldValue().FieldValue(user, n.server).Build()
	}, done)
}

// pushMember puts a user into the set of those that this server told of, or
// takes it out.
func (n *presenceNode) pushMember(user string, in bool, done func(rueidis.RedisResult, error)) error {
	return n.push(user, func(b rueidis.Builder) rueidis.Completed {
		if in {
			return b.Sadd().Key(usersKey + n.server).Member(user).Build()
		}
		return b.Srem().Key(usersKey + n.server).Member(user).Build()
	}, done)
}

// pushExit tells of the end of a connection; last is the user's last one here. n.mu
// is held.
func (n *presenceNode) pushExit(user string, c presentConn, last bool) error {
	retry := n.retry(user)
	told := func(err error) {
		retry(err)
		if !last {
			return
		}
		n.mu.Lock()
		if n.going[user]--; n.going[user] == 0 {
			delete(n.going, user)
		}
		n.mu.Unlock()
		if err == nil {
			n.takeOut(user)
		}
	}
	from := newest{c.id, n.server, strconv.FormatInt(c.at, 10)}
	err := n.pushScript(user, n.scripts.tell, connectionsKey(user), []string{n.server, "exit", c.id}, func(r rueidis.RedisResult, err error) {
		if err != nil {
			told(err)
			return
		}
		n.settle(user, "after", from, readNewest(r), settleRounds, told)
	})
	if err == nil && last {
		n.going[user]++
	}
	return err
}

// takeOut takes a user without connections here out of the set of those that this
// server told of: when nothing is left that others would have to clear up behind it.
func (n *presenceNode) takeOut(user string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left || len(n.users[user]) > 0 {
		return // who has come again was put in again
	}
	retry := n.retry(user)
	if n.pushMember(user, false, func(_ rueidis.RedisResult, err error) { retry(err) }) != nil {
		n.againLocked(user)
	}
}

// pushWhole tells all of a user's connections to this server again. done is
// called once, unless there is an error.
func (n *presenceNode) pushWhole(user string, conns []presentConn, done func(error)) error {
	if len(conns) == 0 {
		return n.pushForget(n.server, user, done)
	}
	retry := n.retry(user)
	if err := n.pushMember(user, true, func(_ rueidis.RedisResult, err error) { retry(err) }); err != nil {
		return err
	}
	args := append(make([]string, 0, 2+2*len(conns)), n.server, "whole")
	for _, c := range conns {
		args = append(args, c.id, strconv.FormatInt(c.at, 10))
	}
	return n.pushScript(user, n.scripts.tell, connectionsKey(user), args, func(r rueidis.RedisResult, err error) {
		if err != nil {
			done(err)
			return
		}
		n.settle(user, "ensure", newest{server: n.server}, readNewest(r), settleRounds, done)
	})
}

// pushForget removes all of a user's connections to a server, whose lease this
// node holds. done is called once, unless there is an error.
func (n *presenceNode) pushForget(server, user string, done func(error)) error {
	return n.pushScript(user, n.scripts.tell, connectionsKey(user), []string{server, "whole"}, func(r rueidis.RedisResult, err error) {
		if err != nil {
			done(err)
			return
		}
		n.settle(user, "after", newest{server: server}, readNewest(r), settleRounds, done)
	})
}

// newest is a user's newest connection; id "": none, or any of the server's.
type newest struct{ id, server, at string }

// readNewest reads the answer of the tell script.
func readNewest(r rueidis.RedisResult) (x newest) {
	if all, err := r.AsStrSlice(); err == nil && len(all) == 3 {
		x = newest{all[0], all[1], all[2]}
	}
	return x
}

// settle rewrites what Node servers read of a user: from one connection to the
// newest one that is left. Where it goes by what another server has told, that may
// have changed before it was written, when the other found nothing of its own to
// rewrite: so it is looked at again. So it is where nothing was left: of a connection
// that this server had meanwhile, and has no more, the keys may be removed as well, when
// another server has one by now. done is called once. It runs on the lane's goroutine.
func (n *presenceNode) settle(user, how string, from, to newest, rounds int, done func(error)) {
	args := []string{how, from.id, from.server, from.at, to.id, to.server, to.at}
	if err := n.pushScript(user, n.scripts.entry, entryKey(user), args, func(r rueidis.RedisResult, err error) {
		if err != nil {
			done(err)
			return
		}
		changed, _ := r.AsInt64() // no number where the key is another program's
		n.settleOwner(user, how, from, to, changed == 1, rounds, done)
	}); err != nil {
		done(err)
	}
}

// settleOwner is settle's second half.
func (n *presenceNode) settleOwner(user, how string, from, to newest, changed bool, rounds int, done func(error)) {
	others := from.server != n.server || to.server != n.server
	check := func(changed bool) {
		if changed && others && rounds > 0 {
			n.lookAgain(user, to, rounds, done)
			return
		}
		done(nil)
	}
	if how == "ensure" && changed {
		how = "set"
	}
	args := []string{how, from.server, user, to.server}
	n.mu.Lock()
	// A connection that has entered meanwhile has made this server the owner again.
	stays := how == "after" && (to.server == from.server || from.server == n.server && len(n.users[user]) > 0)
	var err error
	if !stays {
		err = n.pushScript(user, n.scripts.owner, ownerKey, args, func(r rueidis.RedisResult, err error) {
			if err != nil {
				done(err)
				return
			}
			owner, _ := r.AsInt64()
			check(changed || owner == 1)
		})
	}
	n.mu.Unlock()
	switch {
	case stays:
		check(changed)
	case err != nil:
		done(err)
	}
}

// lookAgain settles once more if the newest connection is another one by now.
func (n *presenceNode) lookAgain(user string, was newest, rounds int, done func(error)) {
	if err := n.pushScript(user, n.scripts.tell, connectionsKey(user), []string{n.server, "look"}, func(r rueidis.RedisResult, err error) {
		is := readNewest(r)
		switch {
		case err != nil || is == was:
			done(err)
		case was.id == "":
			n.settle(user, "ensure", is, is, rounds-1, done)
		default:
			n.settle(user, "after", was, is, rounds-1, done)
		}
	}); err != nil {
		done(err)
	}
}

// tellAgain tells what could not be told, and everything after a lease was lost.
func (n *presenceNode) tellAgain() {
	for {
		select {
		case <-n.ctx.Done():
			return
		case <-n.wake:
		}
		for failed := 0; n.ctx.Err() == nil; {
			more, err := n.tellDirty()
			if err == nil && !more {
				break
			}
			wait := jitter(tellPause)
			if err != nil {
				wait = backoff(failed)
				failed++
			} else {
				failed = 0
			}
			if !pause(n.ctx, wait) {
				return
			}
		}
	}
}

// tellDirty tells a batch of users again. more says that there are others; there
// are none to tell as long as the lease does not stand.
func (n *presenceNode) tellDirty() (more bool, err error) {
	if _, stands := n.lease.stands(time.Now()); !stands {
		return false, nil // the lease's return wakes
	}
	users, strays := n.someDirty()
	if len(users) == 0 {
		if !strays {
			return false, nil
		}
		return true, n.findStrays()
	}
	return true, n.await(n.ctx, users, func(user string, done func(error)) error {
		n.mu.Lock()
		defer n.mu.Unlock()
		delete(n.dirty, user)
		conns := n.users[user]
		err := n.pushWhole(user, conns, func(err error) {
			n.retry(user)(err)
			if err == nil && len(conns) == 0 {
				n.takeOut(user)
			}
			done(err)
		})
		if err != nil {
			n.againLocked(user)
		}
		return err
	})
}

// someDirty returns users that are to be told again, and whether strays are to be
// looked for.
func (n *presenceNode) someDirty() (users []string, strays bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for user := range n.dirty {
		if users = append(users, user); len(users) == tellBatch {
			break
		}
	}
	return users, n.strays
}

// findStrays has those users told again whom a server of this name has told of,
// before it died or while it could not tell of their end.
func (n *presenceNode) findStrays() error {
	n.mu.Lock()
	n.strays = false
	n.mu.Unlock()
	cursor := uint64(0)
	for {
		e, err := n.b.do(n.ctx, n.b.client.B().Sscan().Key(usersKey+n.server).Cursor(cursor).Count(tellBatch).Build()).AsScanEntry()
		n.mu.Lock()
		if err != nil {
			n.strays = true
		}
		for _, user := range e.Elements {
			if len(n.users[user]) == 0 {
				n.dirty[user] = struct{}{}
			}
		}
		n.mu.Unlock()
		if cursor = e.Cursor; err != nil || cursor == 0 {
			return err
		}
		if _, err := n.tellDirty(); err != nil {
			n.mu.Lock()
			n.strays = true
			n.mu.Unlock()
			return err
		}
	}
}

// forget removes all that a server has told of some users; its lease is this
// node's.
func (n *presenceNode) forget(ctx context.Context, server string, users []string) error {
	return n.await(ctx, users, func(user string, done func(error)) error { return n.pushForget(server, user, done) })
}

// await calls push for each user, and returns when all have called done. The error
// is the first one, or ctx's.
func (n *presenceNode) await(ctx context.Context, users []string, push func(user string, done func(error)) error) error {
	results := make(chan error, len(users))
	var failed error
	waiting := 0
	for _, user := range users {
		if failed = push(user, func(err error) { results <- err }); failed != nil {
			break
		}
		waiting++
	}
	for ; waiting > 0; waiting-- {
		select {
		case err := <-results:
			if failed == nil {
				failed = err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return failed
}
