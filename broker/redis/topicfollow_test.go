package redis

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// diary is a node that writes down what it is told: payloads, and gaps as
// "gap:reason:lost".
type diary struct {
	broker.Node

	mu    sync.Mutex
	lines []string
}

func keepDiary(t *testing.T, b *Broker) *diary {
	t.Helper()
	d := new(diary)
	node, err := b.Topics().Join(broker.TopicsReceiver{
		Deliver: func(m broker.Message) { d.write(string(m.Data)) },
		Gap:     func(_ string, g broker.Gap) { d.write(fmt.Sprintf("gap:%v:%d", g.Reason, g.Lost)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Node = node
	t.Cleanup(func() { _ = node.Leave() })
	return d
}

func (d *diary) write(line string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

func (d *diary) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = nil
}

// await waits for as many lines as are wanted and compares them.
func (d *diary) await(t *testing.T, want ...string) {
	t.Helper()
	testkit.Eventually(t, func() bool { return len(d.read()) >= len(want) }, patience)
	if got := d.read(); !slices.Equal(got, want) {
		t.Fatalf("%.200q, want %.200q", got, want)
	}
}

// say publishes and waits until the broker has it.
func (d *diary) say(t *testing.T, topic, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if _, err := d.PublishWait(ctx, broker.Message{Topic: topic, Data: []byte(text)}); err != nil {
		t.Fatal(err)
	}
}

// keeping makes topics durable that begin with "durable". pace is steady, or fast.
func keeping(keep broker.Retention, pace func(*Options)) func(*Options) {
	return func(o *Options) {
		pace(o)
		o.Durable = func(topic string) (broker.Retention, bool) { return keep, strings.HasPrefix(topic, "durable") }
	}
}

// pair is a publisher and a subscriber of a topic, each with a Broker of its own.
func pair(t *testing.T, url string, keep broker.Retention, topic string) (from, to *diary) {
	t.Helper()
	return pairOf(t, url, keeping(keep, steady), topic)
}

func pairOf(t *testing.T, url string, edit func(*Options), topic string) (from, to *diary) {
	t.Helper()
	from, to = keepDiary(t, openBroker(t, url, edit)), keepDiary(t, openBroker(t, url, edit))
	to.Subscribe(topic)
	testkit.Eventually(t, func() bool {
		from.say(t, topic, "up?")
		return len(to.read()) > 0
	}, patience)
	from.say(t, topic, "up!")
	testkit.Eventually(t, func() bool { return slices.Contains(to.read(), "up!") }, patience)
	to.forget()
	return from, to
}

// logOnly logs texts without telling subscribers.
func logOnly(server *testkit.Redis, topic string, keep broker.Retention, texts ...string) {
	publisher := string(binary.BigEndian.AppendUint64(nil, 12345))
	args := []string{"EVAL", topicScript, "1", "wsd:{t:" + topic + "}:log", "elsewhere", "PUBLISH", publisher, strconv.Itoa(keep.Messages), "0"}
	for _, s := range texts {
		args = append(args, "\x00", s)
	}
	server.Do(args...)
}

// tick waits until the server's clock has gone on by a millisecond at least.
func tick(t *testing.T, server *testkit.Redis) {
	t.Helper()
	now := func() int64 {
		parts := server.Do("TIME").([]any)
		s, _ := strconv.ParseInt(parts[0].(string), 10, 64)
		us, _ := strconv.ParseInt(parts[1].(string), 10, 64)
		return s*1000 + us/1000
	}
	begin := now()
	testkit.Eventually(t, func() bool { return now() > begin }, patience)
}

func numbered(from, to int) (texts []string) {
	for i := from; i < to; i++ {
		texts = append(texts, fmt.Sprint(i))
	}
	return texts
}

func TestDurableTopicFillsAHole(t *testing.T) {
	t.Parallel()
	server, keep := testkit.StartRedis(t), broker.Retention{Messages: 1000}
	from, to := pair(t, server.URL(), keep, "durable")
	from.say(t, "durable", "before")
	logOnly(server, "durable", keep, numbered(0, 250)...)
	from.say(t, "durable", "after")
	to.await(t, append(append([]string{"before"}, numbered(0, 250)...), "after")...)
	from.say(t, "durable", "live")
	testkit.Eventually(t, func() bool { return len(to.read()) == 253 }, patience)
	if h := to.Health(); h.Gaps != 0 || h.Lost != 0 {
		t.Errorf("%+v", h)
	}
}

func TestDurableTopicTellsWhatWasTrimmed(t *testing.T) {
	t.Parallel()
	server, keep := testkit.StartRedis(t), broker.Retention{Messages: 10}
	server.Do("CONFIG", "SET", "stream-node-max-entries", "10") // trims to the message, nearly
	from, to := pair(t, server.URL(), keep, "durable")
	logOnly(server, "durable", keep, numbered(0, 95)...)
	from.say(t, "durable", "after")
	testkit.Eventually(t, func() bool { return slices.Contains(to.read(), "after") }, patience)
	got := to.read()
	var lost int
	if n, err := fmt.Sscanf(got[0], "gap:trimmed:%d", &lost); n != 1 || err != nil {
		t.Fatalf("%q", got)
	}
	if want := append(numbered(lost, 95), "after"); !slices.Equal(got[1:], want) || lost < 70 {
		t.Errorf("%d lost, then %q", lost, got[1:])
	}
	if h := to.Health(); h.Gaps != 1 || h.Lost != uint64(lost) {
		t.Errorf("%+v", h)
	}
	if s := to.Node.(*topicNode).b.Stats(); s.Gaps.Trimmed != 1 || s.Lost.Trimmed != uint64(lost) {
		t.Errorf("%+v, %+v", s.Gaps, s.Lost)
	}
}

// Messages that are together longer than what is read at a time come all.
func TestDurableTopicFillsALongHole(t *testing.T) {
	t.Parallel()
	server, keep := testkit.StartRedis(t), broker.Retention{Messages: 1000}
	from, to := pair(t, server.URL(), keep, "durable")
	from.say(t, "durable", "before")
	want := []string{"before"}
	for i := range 8 {
		want = append(want, strings.Repeat(fmt.Sprint(i), topicReadBytes/3))
	}
	want = append(want, strings.Repeat("x", 2*topicReadBytes))
	logOnly(server, "durable", keep, want[1:]...)
	from.say(t, "durable", "after")
	to.await(t, append(want, "after")...)
	if h := to.Health(); h.Gaps != 0 || h.Lost != 0 {
		t.Errorf("%+v", h)
	}
}

// Whoever asks for history gets the messages behind what something else has written,
// however much that is.
func TestHistoryBehindGarbage(t *testing.T) {
	t.Parallel()
	server, keep := testkit.StartRedis(t), broker.Retention{Messages: 1000}
	from, _ := pair(t, server.URL(), keep, "durable")
	h, err := from.History(t.Context(), "durable", "", 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, garbage := range []string{"x", strings.Repeat("x", broker.HistoryBytes+1), "x", "x"} {
		server.Do("XADD", "wsd:{t:durable}:log", "*", "what", garbage)
	}
	from.say(t, "durable", "1")
	from.say(t, "durable", "2")
	for _, limit := range []int{1, 2, 10} {
		got, err := from.History(t.Context(), "durable", h.Last, limit)
		if err != nil || got.Complete || len(got.Messages) == 0 || string(got.Messages[0].Data) != "1" || got.More != (len(got.Messages) == 1) {
			t.Errorf("at most %d: %d messages, complete %v, more %v, %v", limit, len(got.Messages), got.Complete, got.More, err)
		}
	}
}

// A server that lost its scripts is given them again: nothing is lost, nor
// counted as such.
func TestDurableTopicAfterScriptFlush(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	from, to := pair(t, server.URL(), broker.Retention{Messages: 10}, "durable")
	server.Do("SCRIPT", "FLUSH")
	from.say(t, "durable", "1")
	from.say(t, "durable", "2")
	to.await(t, "1", "2")
	if server.Info("errorstat_NOSCRIPT") == "" {
		t.Error("the script was not missing")
	}
	if h := from.Node.(*topicNode).b.Health(); h.Lost != 0 || from.Health().Lost != 0 {
		t.Errorf("%+v, and the node's: %+v", h, from.Health())
	}
}

func TestHistoryWithoutAServer(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	from := keepDiary(t, openBroker(t, server.URL(), keeping(broker.Retention{Messages: 10}, fast)))
	server.Kill()
	if _, err := from.History(t.Context(), "durable", "", 10); !errors.Is(err, broker.ErrUnavailable) {
		t.Error(err)
	}
	server.Start()
	testkit.Eventually(t, func() bool { return from.Health().Up }, patience)
	server.Stop()
	defer server.Cont()
	if _, err := from.History(t.Context(), "durable", "", 10); !errors.Is(err, broker.ErrUnavailable) {
		t.Error(err)
	}
}

func TestDurableTopicTellsOfALogThatBeganAnew(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	from, to := pair(t, server.URL(), broker.Retention{Messages: 10}, "durable")
	server.Do("DEL", "wsd:{t:durable}:log")
	tick(t, server) // else offsets could repeat
	from.say(t, "durable", "1")
	from.say(t, "durable", "2")
	to.await(t, "gap:restarted:-1", "1", "2")
}

func TestDurableTopicThatExpired(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	from, to := pair(t, server.URL(), broker.Retention{Age: 300 * time.Millisecond}, "durable")
	for _, text := range []string{"1", "2"} {
		testkit.Eventually(t, func() bool { return server.Do("EXISTS", "wsd:{t:durable}:log") == int64(0) }, patience)
		from.say(t, "durable", text)
	}
	to.await(t, "1", "2")
}

// What makes no sense is counted and passed over, on both kinds of topics.
func TestTopicsSurviveGarbage(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	from, to := pair(t, server.URL(), broker.Retention{Messages: 1000}, "durable")
	to.Subscribe("plain")
	testkit.Eventually(t, func() bool {
		from.say(t, "plain", "up?")
		return slices.Contains(to.read(), "up?")
	}, patience)
	for _, garbage := range []string{"", "x", "\x01", "\x02", strings.Repeat("\xff", 10_000), plainOf(1, 0, 0, "a")[:20]} {
		server.Do("PUBLISH", "wsd:t:plain", garbage)
		server.Do("PUBLISH", "wsd:{t:durable}", garbage)
	}
	server.Do("XADD", "wsd:{t:durable}:log", "*", "some", "thing")
	server.Do("XADD", "wsd:{t:durable}:log", "*", "n", "nan", "d", "")
	to.forget()
	from.say(t, "durable", "1")
	from.say(t, "plain", "2")
	from.say(t, "durable", "3")
	testkit.Eventually(t, func() bool { return len(to.read()) >= 3 }, patience)
	got := to.read()
	slices.Sort(got) // the two topics are apart
	if !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Errorf("%q", got)
	}
	if h := to.Health(); h.Lost != 14 {
		t.Errorf("%d counted, want 14", h.Lost)
	}
	h, err := to.History(context.Background(), "durable", "", 4)
	if err != nil || len(h.Messages) != 2 || string(h.Messages[1].Data) != "3" {
		t.Errorf("history: %+v, %v", h, err)
	}
}

// A log that is no stream: PublishWait tells, and subscribers hear nothing false.
func TestDurableTopicWhoseLogIsSomethingElse(t *testing.T) {
	server := testkit.StartRedis(t)
	server.Do("SET", "wsd:{t:durable}:log", "x")
	from := keepDiary(t, openBroker(t, server.URL(), keeping(broker.Retention{Messages: 10}, steady)))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := from.PublishWait(ctx, broker.Message{Topic: "durable"}); err == nil {
		t.Error("PublishWait: no error")
	}
	if _, err := from.History(ctx, "durable", "", 1); err == nil {
		t.Error("History: no error")
	}
	if h := from.Health(); h.Lost != 1 || !h.Up {
		t.Errorf("%+v", h)
	}
}

// A subscriber that may not read the log gets what the channel brings, and is
// told.
func TestDurableTopicWithoutTheRightToRead(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	from := keepDiary(t, openBroker(t, server.URL(), keeping(broker.Retention{Messages: 10}, steady)))
	server.Do("ACL", "SETUSER", "deaf", "on", ">secret", "~*", "&*", "+@all", "-xrange", "-xrevrange")
	to := keepDiary(t, openBroker(t, "redis://deaf:secret@"+server.Addr, keeping(broker.Retention{Messages: 10}, steady)))
	to.Subscribe("durable")
	testkit.Eventually(t, func() bool {
		from.say(t, "durable", "up?")
		return slices.Contains(to.read(), "up?")
	}, patience)
	if got := to.read(); got[0] != "gap:reconnected:-1" {
		t.Errorf("%q", got)
	}
}

func TestPlainTopicTellsWhatAPublisherFailedToSend(t *testing.T) {
	p := &plainTopic{topic: "t", next: map[uint64]uint64{}}
	d := new(diary)
	p.n = &topicNode{b: new(Broker), id: 1, r: broker.TopicsReceiver{
		Deliver: func(m broker.Message) { d.write(string(m.Data)) },
		Gap:     func(_ string, g broker.Gap) { d.write(fmt.Sprintf("gap:%v:%d", g.Reason, g.Lost)) },
	}}
	for _, payload := range []string{
		plainOf(1, 0, 0, "own"),
		plainOf(2, 10, 0, "a", "b"), // known from here on
		plainOf(3, 5, broker.Overflow, "other"),
		plainOf(2, 12, 0, "c"),
		plainOf(2, 15, broker.Overflow, "d"),
		plainOf(2, 14, 0, "again", "again", "e"), // two of them came before
		plainOf(2, 13, 0, "again"),
		plainOf(2, 18, 0, "f"),
		plainOf(2, 5*outboxNumbers, 0, "forgotten and begun anew"),
		plainOf(2, 9*outboxNumbers+2, 0, "again, and the first two are missing"),
		plainOf(2, 9*outboxNumbers+(1<<39), 200, "far ahead"),
	} {
		p.message("", payload)
	}
	d.await(t, "a", "b", "other", "c", "gap:overflow:2", "d", "e", "gap:reconnected:1", "f",
		"forgotten and begun anew", "gap:reconnected:2", "again, and the first two are missing",
		fmt.Sprint("gap:reconnected:", 1<<39-3), "far ahead")
	for i := range uint64(5 * maxPublishers) {
		p.message("", plainOf(100+i, 0, 0, "x"))
	}
	if len(p.next) > maxPublishers {
		t.Errorf("%d publishers are remembered", len(p.next))
	}
}
