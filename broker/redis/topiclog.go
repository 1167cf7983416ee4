package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/codec/cluster"
)

// topicScript logs messages and publishes them in a durable envelope, as one
// step. An entry of the log has the fields l (offset of the entry before it), n
// (its number in the log's life), p (publisher), f (flags) and d (data): by l and
// n a reader sees whether something is missing, and how much.
//
//	KEYS[1] log
//	ARGV    channel, PUBLISH or SPUBLISH, publisher, messages kept (0: any), age
//	        kept in ms (0: any), then flags and data of each message
//
// It returns the offsets. Age is measured by what the offsets hold, the server's
// clock: a log with an age ends by itself when nothing is published any more.
const topicScript = `local log, channel, publish, publisher = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local length, age = tonumber(ARGV[4]), tonumber(ARGV[5])
local function text(s) return string.char(#s) .. s end
local function decimal(n) return string.format('%.0f', n) end
local previous, number = '0-0', 0
local newest = redis.call('XREVRANGE', log, '+', '-', 'COUNT', 1)[1]
if newest then
  previous = newest[1]
  local fields = newest[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'n' then number = tonumber(fields[i + 1]) or 0 end
  end
  if not (number >= 0 and number < 999999999999999) then number = 0 end
end
local envelope, offsets = {'\2' .. publisher .. text(previous) .. text(decimal(number))}, {}
for i = 6, #ARGV, 2 do
  local flags, data = ARGV[i], ARGV[i + 1]
  number = number + 1
  local id = redis.call('XADD', log, '*', 'l', previous, 'n', decimal(number), 'p', publisher, 'f', flags, 'd', data)
  envelope[#envelope + 1] = text(id) .. flags .. struct.pack('>I4', #data) .. data
  offsets[#offsets + 1] = id
  previous = id
end
if length > 0 then redis.call('XTRIM', log, 'MAXLEN', '~', decimal(length)) end
if age > 0 then
  local now = tonumber(string.match(previous, '^%d+'))
  redis.call('XTRIM', log, 'MINID', '~', decimal(math.max(0, now - age)))
  redis.call('PEXPIRE', log, decimal(age))
end
redis.call(publish, channel, table.concat(envelope))
return offsets
`

// readScript reads entries of a log, as XRANGE does, but no more than make so many
// bytes, or one. It asks for some at a time, so that little is read in vain.
//
//	KEYS[1] log
//	ARGV    XRANGE or XREVRANGE, where to begin and to end, entries at most, bytes
//
// It returns whether the bytes kept entries back, and the entries.
const readScript = `local command, from, to, most, bytes = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local found, size = {}, 0
while #found < most do
  local count = math.min(most - #found, 16)
  local some = redis.call(command, KEYS[1], from, to, 'COUNT', count)
  for i = 1, #some do
    local fields = some[i][2]
    for k = 1, #fields do size = size + #fields[k] end
    if size > bytes and #found > 0 then return {1, found} end
    found[#found + 1] = some[i]
  end
  if #some < count then break end
  from = '(' .. some[count][1]
end
return {0, found}
`

// errScript says that the server's script answered something else than it should.
var errScript = errors.New("redis: unexpected answer of a topic's script")

var topicScriptSHA, readScriptSHA = digest(topicScript), digest(readScript)

// topicAddress is where a topic is in Redis.
type topicAddress struct {
	channel string
	durable bool
	log     string
	keep    broker.Retention
}

// topicCommands makes a node's commands.
type topicCommands struct {
	sharded   bool // channels are those of sharded pub/sub
	durable   func(topic string) (broker.Retention, bool)
	publisher string      // 8 bytes
	loaded    atomic.Bool // the server has the script, as far as is known
}

func newTopicCommands(sharded bool, durable func(string) (broker.Retention, bool), publisher uint64) *topicCommands {
	return &topicCommands{
		sharded: sharded, durable: durable,
		publisher: string(binary.BigEndian.AppendUint64(nil, publisher)),
	}
}

// address is where a topic is. The channel of a durable one has the hash tag of
// its log: in a Cluster a script may touch one slot only, and logs and publishes
// at once.
func (c *topicCommands) address(topic string) topicAddress {
	if c.durable != nil {
		if keep, ok := c.durable(topic); ok {
			return topicAddress{"wsd:{t:" + topic + "}", true, "wsd:{t:" + topic + "}:log", keep}
		}
	}
	return topicAddress{channel: "wsd:t:" + topic}
}

// kind is how topics' channels are subscribed to.
func (c *topicCommands) kind() channelKind {
	if c.sharded {
		return sharded
	}
	return plain
}

// publish sends an envelope.
func (c *topicCommands) publish(b rueidis.Builder, channel, envelope string) rueidis.Completed {
	if c.sharded {
		return b.Spublish().Channel(channel).Message(envelope).Build()
	}
	return b.Publish().Channel(channel).Message(envelope).Build()
}

// append logs and publishes messages that are end to end in body. text sends the
// script itself, which any server understands.
func (c *topicCommands) append(b rueidis.Builder, addr topicAddress, body string, count int, text bool) rueidis.Completed {
	publish := "PUBLISH"
	if c.sharded {
		publish = "SPUBLISH"
	}
	args := make([]string, 0, 5+2*count)
	args = append(args, addr.channel, publish, c.publisher,
		strconv.Itoa(max(0, addr.keep.Messages)), strconv.FormatInt(max(0, addr.keep.Age.Milliseconds()), 10))
	for body != "" {
		data, _, rest, _ := nextMessage(body)
		args = append(args, body[:1], data)
		body = rest
	}
	if text || !c.loaded.Load() {
		return b.Eval().Script(topicScript).Numkeys(1).Key(addr.log).Arg(args...).Build()
	}
	return b.Evalsha().Sha1(topicScriptSHA).Numkeys(1).Key(addr.log).Arg(args...).Build()
}

// learn notes from the answer to append whether the server has the script: after
// any failure it may be another server.
func (c *topicCommands) learn(err error) { c.loaded.Store(err == nil) }

// isNoScript reports whether the server does not have the script.
func isNoScript(err error) bool {
	refused, ok := rueidis.IsRedisErr(err)
	return ok && refused.IsNoScript()
}

// topicReader reads logs.
type topicReader struct {
	b *Broker
}

// after returns at most limit entries behind an id, and so many bytes of them, the
// oldest first. cut says that there are more within the limit.
func (r topicReader) after(ctx context.Context, log string, id cluster.ID, limit, bytes int) (entries []logEntry, cut bool, err error) {
	return r.read(ctx, log, "XRANGE", "("+id.String(), "+", limit, bytes)
}

// last is after of all entries, the newest first.
func (r topicReader) last(ctx context.Context, log string, limit, bytes int) (entries []logEntry, cut bool, err error) {
	return r.read(ctx, log, "XREVRANGE", "+", "-", limit, bytes)
}

func (r topicReader) read(ctx context.Context, log, command, from, to string, limit, bytes int) (entries []logEntry, cut bool, err error) {
	args := []string{command, from, to, strconv.Itoa(limit), strconv.Itoa(bytes)}
	b := r.b.client.B()
	answer := r.b.do(ctx, b.Evalsha().Sha1(readScriptSHA).Numkeys(1).Key(log).Arg(args...).Build())
	if isNoScript(answer.Error()) {
		answer = r.b.do(ctx, b.Eval().Script(readScript).Numkeys(1).Key(log).Arg(args...).Build())
	}
	if err := answer.NonRedisError(); err != nil {
		return nil, false, notTaken(err) // there was nothing to take
	}
	parts, err := answer.ToArray()
	if err != nil {
		return nil, false, err
	}
	if len(parts) != 2 {
		return nil, false, errScript
	}
	kept, err := parts[0].AsInt64()
	if err != nil {
		return nil, false, errScript
	}
	entries, err = entriesOf(parts[1].AsXRange())
	return entries, kept == 1, err
}

// newest returns the newest entry, if there is one.
func (r topicReader) newest(ctx context.Context, log string) ([]logEntry, error) {
	answer := r.b.do(ctx, r.b.client.B().Xrevrange().Key(log).End("+").Start("-").Count(1).Build())
	if err := answer.NonRedisError(); err != nil {
		return nil, notTaken(err) // likewise
	}
	return entriesOf(answer.AsXRange())
}

func entriesOf(raw []rueidis.XRangeEntry, err error) ([]logEntry, error) {
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, err
	}
	entries := make([]logEntry, 0, len(raw))
	for _, x := range raw {
		id, err := cluster.ParseID(x.ID)
		if err != nil {
			return nil, fmt.Errorf("redis: log of a topic: %w", err)
		}
		entries = append(entries, entryOf(id, x))
	}
	return entries, nil
}

// entryOf reads what topicScript has written.
func entryOf(id cluster.ID, x rueidis.XRangeEntry) logEntry {
	f := x.FieldValues
	previous, err := cluster.ParseID(f["l"])
	number, ok := parseNumber(f["n"])
	data, hasData := f["d"]
	if err != nil || !ok || !hasData || len(f["p"]) != 8 || len(f["f"]) != 1 || f["f"][0] > flagBinary {
		return logEntry{id: id, offset: x.ID, foreign: true}
	}
	return logEntry{
		id: id, previous: previous, offset: x.ID, number: number,
		publisher: uint64At(f["p"], 0), binary: f["f"][0] == flagBinary, data: data,
	}
}

// history is Node.History of a durable topic.
func (r topicReader) history(ctx context.Context, topic, log, since string, limit int) (broker.History, error) {
	if since == "" {
		return r.tail(ctx, topic, log, max(0, limit))
	}
	id, err := cluster.ParseID(since)
	if err != nil {
		return broker.History{}, fmt.Errorf("%w: %.40q", broker.ErrOffset, since)
	}
	return r.since(ctx, topic, log, id, max(0, limit))
}

// tail is the newest part of a log.
func (r topicReader) tail(ctx context.Context, topic, log string, limit int) (broker.History, error) {
	entries, cut, err := r.last(ctx, log, limit+1, broker.HistoryBytes)
	if err != nil {
		return broker.History{}, err
	}
	h := broker.History{Complete: len(entries) == 0}
	if len(entries) > 0 {
		h.Last = entries[0].offset
		// Where there are no more, the oldest is the log's first unless the log was
		// trimmed.
		h.Complete = !cut && len(entries) <= limit && entries[len(entries)-1].number == 1
		entries = entries[:min(limit, len(entries))]
	}
	slices.Reverse(entries)
	h.Messages = messagesOf(topic, entries)
	return h, nil
}

// since is the part of a log behind an id.
func (r topicReader) since(ctx context.Context, topic, log string, id cluster.ID, limit int) (broker.History, error) {
	newest, err := r.newest(ctx, log)
	if err != nil {
		return broker.History{}, err
	}
	entries, cut, err := r.after(ctx, log, id, limit+1, broker.HistoryBytes)
	if err != nil {
		return broker.History{}, err
	}
	var h broker.History
	switch {
	case len(entries) > 0:
		h.Complete = !entries[0].foreign && entries[0].previous == id
	case len(newest) > 0 && newest[0].id != id:
		// The offset is of a log that was there before this one.
		if entries, cut, err = r.after(ctx, log, cluster.ID{}, limit+1, broker.HistoryBytes); err != nil {
			return broker.History{}, err
		}
	default:
		h.Complete = len(newest) > 0 || id == cluster.ID{}
	}
	if entries, cut, err = r.skipForeign(ctx, log, entries, cut, limit); err != nil {
		return broker.History{}, err
	}
	if len(newest) > 0 {
		h.Last = newest[0].offset
	}
	if cut || len(entries) > limit {
		entries, h.More = entries[:min(limit, len(entries))], true
	} else if len(entries) > 0 {
		h.Last = entries[len(entries)-1].offset
	}
	h.Messages = messagesOf(topic, entries)
	return h, nil
}

// skipForeign goes on behind a page that has nothing but what something else has
// written: whoever gets no message has no offset to go on from.
func (r topicReader) skipForeign(ctx context.Context, log string, entries []logEntry, cut bool, limit int) (_ []logEntry, _ bool, err error) {
	own := func(e logEntry) bool { return !e.foreign }
	for limit > 0 && (cut || len(entries) > limit) && !slices.ContainsFunc(entries[:min(limit, len(entries))], own) {
		if entries, cut, err = r.after(ctx, log, entries[min(limit, len(entries))-1].id, limit+1, broker.HistoryBytes); err != nil {
			return nil, false, err
		}
	}
	return entries, cut, nil
}

// messagesOf leaves out what something else has written.
func messagesOf(topic string, entries []logEntry) []broker.Message {
	var all []broker.Message
	for i := range entries {
		if e := &entries[i]; !e.foreign {
			m := e.message(topic)
			m.Data = slices.Clone(m.Data) // callers may write to it
			all = append(all, m)
		}
	}
	return all
}
