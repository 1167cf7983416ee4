package redis

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

const (
	// summaryKey and the server: what it tells of itself.
	summaryKey = "wsd:nodesummary:"
	// MaxSummary is the longest summary in bytes.
	MaxSummary = 16 << 10
	// maxSummaries is how many servers' summaries are read.
	maxSummaries = 512
)

// Summary is what a server tells of itself to people who look at the cluster. It
// means nothing to the Broker.
type Summary struct {
	Server string
	// Text is nil where the server has told nothing, or not lately; it may be cut
	// off where something else than this package wrote it.
	Text []byte
}

// PutSummary tells what Summaries returns of a server, for at most ttl. The error is
// broker.ErrServer, that of a text beyond MaxSummary, the server's or ctx's.
func (b *Broker) PutSummary(ctx context.Context, server string, text []byte, ttl time.Duration) error {
	if err := broker.CheckServer(server); err != nil {
		return err
	}
	if len(text) > MaxSummary {
		return fmt.Errorf("redis: a summary of %d bytes: at most %d", len(text), MaxSummary)
	}
	return b.do(ctx, b.client.B().Set().Key(summaryKey+server).Value(rueidis.BinaryString(text)).Px(ttl).Build()).Error()
}

// Summaries returns those of the servers that have joined Presence and not left it,
// by name; of the first 512 of them. The error is the server's or ctx's.
func (b *Broker) Summaries(ctx context.Context) ([]Summary, error) {
	names, err := b.do(ctx, b.client.B().Smembers().Key(nodesKey).Build()).AsStrSlice()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, err
	}
	slices.Sort(names)
	names = names[:min(len(names), maxSummaries)]
	ctx, cancel := context.WithTimeout(ctx, b.opts.CommandTimeout)
	defer cancel()
	cmds := make(rueidis.Commands, len(names))
	for i, name := range names {
		cmds[i] = b.client.B().Getrange().Key(summaryKey + name).Start(0).End(MaxSummary - 1).Build()
	}
	all := make([]Summary, len(names))
	for i, r := range b.client.DoMulti(ctx, cmds...) {
		text, err := r.AsBytes()
		if err != nil && !rueidis.IsRedisNil(err) {
			b.count.commandErrors.Add(1)
			return nil, err
		}
		all[i].Server = names[i]
		if len(text) > 0 {
			all[i].Text = text
		}
	}
	return all, nil
}
