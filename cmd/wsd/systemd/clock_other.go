//go:build !linux

package systemd

import "time"

// monotonic is of use to systemd only.
func monotonic() time.Duration { return 0 }
