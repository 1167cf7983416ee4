package bench

import "time"

// usage is what a process has used so far.
type usage struct {
	cpu time.Duration // user and system time, in steps of 10 ms
	rss int64         // resident bytes
}
