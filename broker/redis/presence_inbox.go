package redis

import (
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

// inboxKind is how inboxes are subscribed to: in a Cluster by sharded pub/sub,
// which does not trouble all of its servers, where there is any.
func (b *Broker) inboxKind() channelKind {
	major, _, _ := strings.Cut(b.version(), ".")
	if n, err := strconv.Atoi(major); b.clustered() && err == nil && n >= 7 {
		return sharded
	}
	return plain
}

// Send implements broker.PresenceNode.
func (n *presenceNode) Send(server string, m *cluster.Message) error {
	return n.send(server, m, nil)
}

// SendThen implements broker.PresenceNode.
func (n *presenceNode) SendThen(server string, m *cluster.Message, done func(error)) error {
	if server != n.server && !n.b.hub.proven() {
		n.lost.Add(1)
		return notTaken(errNotProven)
	}
	return n.send(server, m, done)
}

// send is SendThen for any server; a nil done wants to know nothing.
func (n *presenceNode) send(server string, m *cluster.Message, done func(error)) error {
	if m.Kind != cluster.Broadcast || m.RequestID != "" || m.Check() != nil {
		return cluster.ErrMessage
	}
	if n.isClosed() {
		return broker.ErrClosed
	}
	if server == n.server {
		if !n.inbox.put(m) {
			return broker.ErrOverflow
		}
		if done != nil {
			done(nil)
		}
		return nil
	}
	data, err := cluster.AppendSharded(nil, m)
	if err != nil {
		return err
	}
	channel, kind := inboxKey+server, n.b.inboxKind()
	err = n.lane.push(len(channel)+len(data), func(b rueidis.Builder) rueidis.Completed {
		if kind == sharded {
			return b.Spublish().Channel(channel).Message(rueidis.BinaryString(data)).Build()
		}
		return b.Publish().Channel(channel).Message(rueidis.BinaryString(data)).Build()
	}, func(r rueidis.RedisResult) {
		if r.Error() != nil {
			n.lost.Add(1)
		}
		if done != nil {
			done(published(r))
		}
	})
	if err != nil {
		n.lost.Add(1)
	}
	return err
}

// open decodes what was sent to this server; nil for what can't be meant.
func (n *presenceNode) open(_, payload string) *cluster.Message {
	m, err := cluster.ParseSharded([]byte(payload))
	if err == nil && (m.Kind != cluster.Broadcast || m.RequestID != "") {
		err = cluster.ErrMessage
	}
	if err != nil {
		n.b.count.lostMalformed.Add(1)
		n.lost.Add(1)
		n.complain("redis: a message for this server alone makes no sense", "error", err)
		return nil
	}
	return m
}

// complain counts something that makes no sense, and logs it if that was not done
// lately.
func (n *presenceNode) complain(text string, args ...any) {
	n.malformed.Add(1)
	now, last := time.Now().UnixNano(), n.logged.Load()
	if now-last >= int64(skipsLogged) && n.logged.CompareAndSwap(last, now) {
		n.log.Warn(text, append(args, "server", n.server, "so_far", n.malformed.Load())...)
	}
}
