package redis

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/broker"
	"github.com/fe4bcecb/wsd/internal/testkit"
)

// rounds is how often a fault is repeated.
func rounds() int {
	if os.Getenv("WSD_LONG") != "" {
		return 20
	}
	return 1
}

// stream publishes numbers to a topic, several at once and each group with one
// that is waited for, until it is stopped.
type stream struct {
	stop chan struct{}
	done chan struct{}
	// Read them after done.
	next     int
	accepted []int // PublishWait returned no error for
}

func startStream(from *diary, topic string) *stream {
	s := &stream{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-s.stop:
				return
			case <-tick.C:
			}
			for range 3 {
				_ = from.Publish(broker.Message{Topic: topic, Data: strconv.AppendInt(nil, int64(s.next), 10)})
				s.next++
			}
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			if _, err := from.PublishWait(ctx, broker.Message{Topic: topic, Data: strconv.AppendInt(nil, int64(s.next), 10)}); err == nil {
				s.accepted = append(s.accepted, s.next)
			}
			cancel()
			s.next++
		}
	}()
	return s
}

// end stops the stream, and publishes a last message until it arrives.
func (s *stream) end(t *testing.T, from, to *diary, topic string) {
	t.Helper()
	close(s.stop)
	<-s.done
	testkit.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := from.PublishWait(ctx, broker.Message{Topic: topic, Data: []byte("end")})
		return err == nil
	}, patience)
	testkit.Eventually(t, func() bool {
		lines := to.read()
		for i := len(lines) - 1; i >= 0; i-- {
			if lines[i] == "end" {
				return true
			}
		}
		return false
	}, patience)
}

// progress waits until n more lines have come.
func (d *diary) progress(t *testing.T, n int) {
	t.Helper()
	before := len(d.read())
	testkit.Eventually(t, func() bool { return len(d.read()) >= before+n }, patience)
}

// check holds what arrived against what was published: in order, nothing twice,
// what is missing told by a gap in its place. It returns which numbers arrived.
func (s *stream) check(t *testing.T, lines []string) (arrived map[int]bool, gaps int) {
	t.Helper()
	arrived = map[int]bool{}
	last, told := -1, false
	for _, line := range lines {
		if strings.HasPrefix(line, "gap:") {
			told = true
			gaps++
			continue
		}
		n, err := strconv.Atoi(line)
		switch {
		case err != nil && line == "end":
			n = s.next
		case err != nil:
			t.Fatalf("%q arrived", line)
		case n <= last:
			t.Fatalf("%d after %d", n, last)
		}
		if n > last+1 && !told {
			t.Errorf("%d to %d are missing, and nobody was told", last+1, n-1)
		}
		last, told = n, false
		arrived[n] = true
	}
	return arrived, gaps
}

// checkDurable is check for a topic that may lose nothing which was accepted.
func (s *stream) checkDurable(t *testing.T, lines []string) {
	t.Helper()
	arrived, last := map[int]bool{}, -1
	for _, line := range lines {
		if line == "end" {
			continue
		}
		n, err := strconv.Atoi(line)
		if err != nil || n <= last {
			t.Fatalf("%q after %d", line, last)
		}
		arrived[n], last = true, n
	}
	missing := 0
	for _, n := range s.accepted {
		if !arrived[n] {
			missing++
		}
	}
	if missing > 0 || len(s.accepted) == 0 {
		t.Errorf("%d of %d accepted messages are missing", missing, len(s.accepted))
	}
	t.Logf("%d published, %d arrived, %d accepted", s.next, len(arrived), len(s.accepted))
}

// faults are what happens to a server, or the connections to it.
var faults = []struct {
	name string
	pace func(*Options)
	make func(t *testing.T, server *testkit.Redis, to *diary)
}{
	{"CLIENT KILL of every connection", steady, func(t *testing.T, server *testkit.Redis, to *diary) {
		for range 3 {
			server.Do("CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes")
			server.Do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
			to.progress(t, 50)
		}
	}},
	{"kill -9 and restart", steady, func(_ *testing.T, server *testkit.Redis, _ *diary) { server.Restart() }},
	{"SIGSTOP", fast, func(t *testing.T, server *testkit.Redis, to *diary) {
		server.Stop()
		// Until probes and commands have failed.
		testkit.Eventually(t, func() bool { return !to.Health().Up }, patience)
		server.Cont()
	}},
}

// A durable topic over a log that is on disk loses nothing that was accepted, and
// delivers nothing twice.
func TestDurableTopicUnderFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			server := testkit.StartRedis(t, "--appendonly", "yes", "--appendfsync", "always")
			from, to := pairOf(t, server.URL(), keeping(broker.Retention{Messages: 1_000_000}, fault.pace), "durable")
			s := startStream(from, "durable")
			for range rounds() {
				to.progress(t, 50)
				fault.make(t, server, to)
				to.progress(t, 50)
			}
			s.end(t, from, to, "durable")
			s.checkDurable(t, to.read())
		})
	}
}

// A durable topic's log and channel go to another server of a Cluster together.
func TestDurableTopicWhoseSlotMigrates(t *testing.T) {
	t.Parallel()
	c := testkit.StartRedisCluster(t, 3, 0)
	from, to := pair(t, c.URL(), broker.Retention{Messages: 1_000_000}, "durable")
	s := startStream(from, "durable")
	slot := c.Slot("wsd:{t:durable}")
	for range rounds() {
		to.progress(t, 50)
		for _, m := range c.Masters {
			if m != c.Owner(slot) {
				c.MigrateSlot(slot, m)
				break
			}
		}
		to.progress(t, 50)
	}
	s.end(t, from, to, "durable")
	s.checkDurable(t, to.read())
}

// A plain topic may lose messages, and says where.
func TestPlainTopicUnderFaults(t *testing.T) {
	t.Parallel()
	for _, fault := range faults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			server := testkit.StartRedis(t)
			from, to := pairOf(t, server.URL(), keeping(broker.Retention{}, fault.pace), "plain")
			s := startStream(from, "plain")
			for range rounds() {
				to.progress(t, 50)
				fault.make(t, server, to)
				to.progress(t, 50)
			}
			s.end(t, from, to, "plain")
			arrived, gaps := s.check(t, to.read())
			if gaps == 0 {
				t.Error("no gap was told")
			}
			t.Logf("%d published, %d arrived, %d gaps", s.next, len(arrived), gaps)
		})
	}
}

// A server that comes back empty is told as a gap, and the topic goes on.
func TestDurableTopicOverAServerThatForgets(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	from, to := pair(t, server.URL(), broker.Retention{Messages: 1000}, "durable")
	from.say(t, "durable", "1")
	to.await(t, "1")
	server.Restart()
	testkit.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := from.PublishWait(ctx, broker.Message{Topic: "durable", Data: []byte("2")})
		return err == nil
	}, patience)
	testkit.Eventually(t, func() bool { return len(to.read()) >= 3 }, patience)
	if got := fmt.Sprint(to.read()); got != "[1 gap:restarted:-1 2]" {
		t.Error(got)
	}
}

// PublishWait says no when nothing comes back from the server, though it takes
// what is published.
func TestPublishWaitWithoutAWayBack(t *testing.T) {
	t.Parallel()
	server := testkit.StartRedis(t)
	from := keepDiary(t, openBroker(t, server.URL(), fast))
	server.Do("ACL", "SETUSER", "default", "-subscribe", "-psubscribe")
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	testkit.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := from.PublishWait(ctx, broker.Message{Topic: "plain"})
		return errors.Is(err, broker.ErrUnavailable)
	}, patience)
	if h := from.Health(); h.Up || h.Lost == 0 {
		t.Errorf("%+v", h)
	}
}
