package redis

import (
	"context"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/fe4bcecb/wsd/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.CheckLeaks(m)) }

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// openBroker opens a Broker at a server, which ends with the test. edit may change
// the options.
func openBroker(t *testing.T, url string, edit func(*Options)) *Broker {
	t.Helper()
	o := Options{URLs: []string{url}, Server: "test", Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if testing.Verbose() {
		o.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	if edit != nil {
		edit(&o)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	b, err := Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = b.Close(ctx)
	})
	return b
}

// steady makes a Broker notice soon what happens to a connection, and bear with whoever
// is slow: on a busy machine anybody may be, for seconds.
func steady(o *Options) {
	o.CommandTimeout, o.ProbeInterval, o.ProbeTimeout = patience/2, 100*time.Millisecond, patience/2
	o.ReleaseDelay = 200 * time.Millisecond
}

// fast makes a Broker notice soon that a server stands still, or is not the right one.
func fast(o *Options) {
	o.CommandTimeout, o.ProbeInterval, o.ProbeTimeout = time.Second, 100*time.Millisecond, time.Second
	o.ReleaseDelay = 200 * time.Millisecond
}
