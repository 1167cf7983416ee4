package redis

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/redis/rueidis"

	"github.com/fe4bcecb/wsd/broker"
)

// dialError says that no connection could be made: nothing was sent.
type dialError struct {
	addr string
	err  error
}

func (e *dialError) Error() string { return e.addr + ": " + e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// isNobody reports whether an error says that nobody listens at an address: what was
// on its way there went with the server.
func isNobody(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// notTaken wraps broker.ErrUnavailable, which promises that a command was not
// taken.
func notTaken(err error) error {
	if errors.Is(err, broker.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", broker.ErrUnavailable, err)
}

// transportError returns what kept a command from being answered, nil if the
// server answered. It wraps broker.ErrUnavailable if the command surely did not
// reach a server.
func transportError(r rueidis.RedisResult) error {
	err := r.NonRedisError()
	if err == nil {
		return nil
	}
	var dial *dialError
	var refused *rueidis.RedisError
	// A server's answer in place of a transport error is that to the handshake:
	// wrong password, too many clients.
	if errors.As(err, &dial) || errors.As(err, &refused) || errors.Is(err, rueidis.ErrNoSlot) {
		return notTaken(err)
	}
	return err
}

// published is the answer to PUBLISH. The error wraps broker.ErrUnavailable if the
// message surely was not taken; any other leaves that open.
func published(r rueidis.RedisResult) error {
	err := transportError(r)
	if err == nil {
		if err = r.Error(); err == nil {
			return nil
		}
		err = notTaken(err)
	}
	return fmt.Errorf("redis: publishing: %w", err)
}
