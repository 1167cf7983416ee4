package redis

import (
	"context"

	"github.com/redis/rueidis"
)

// lane sends commands in the order of the push calls, on a connection of its own,
// in pipelined batches of which one is under way at a time. What waits is
// bounded.
type lane struct{}

// newLane makes a lane; name is for logs and metrics.
func (b *Broker) newLane(name string) *lane { panic("H2") }

// push queues a command that build makes on the lane's goroutine. size is about
// what waits, in bytes. done, if not nil, is called once with the result, in the
// order of the commands, on the lane's goroutine: it must not block. Errors are
// broker.ErrOverflow, ErrUnavailable (the connection is known to be down) and
// ErrClosed: done is not called then. Safe from any goroutine; it does not block.
func (l *lane) push(size int, build func(rueidis.Builder) rueidis.Completed, done func(rueidis.RedisResult)) error {
	panic("H2")
}

// close sends what waits, as long as ctx lasts.
func (l *lane) close(ctx context.Context) { panic("H2") }
