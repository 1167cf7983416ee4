package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"
)

// quietWindow is how long the machine is watched before a run may start.
const quietWindow = 200 * time.Millisecond

// awaitQuiet returns when the whole machine used less than maxBusy of one CPU
// over a window, or when limit has passed: then the run itself decides.
func awaitQuiet(ctx context.Context, maxBusy float64, limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for time.Now().Before(deadline) {
		before, ok := busySeconds()
		if !ok {
			return nil
		}
		if err := pause(ctx, quietWindow); err != nil {
			return err
		}
		after, _ := busySeconds()
		if after-before <= maxBusy*quietWindow.Seconds()+clockTick {
			return nil
		}
	}
	return nil
}

// clockTick is the unit of /proc/stat in seconds.
const clockTick = 0.01

// busySeconds is the CPU time of all work since boot; ok is false on systems
// without /proc/stat.
func busySeconds() (seconds float64, ok bool) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	return parseBusy(string(b))
}

// parseBusy adds user, nice, system, irq and softirq of the first line.
func parseBusy(stat string) (seconds float64, ok bool) {
	line, _, _ := strings.Cut(stat, "\n")
	var user, nice, system, idleTime, iowait, irq, softirq float64
	_, err := fmt.Sscanf(line, "cpu %g %g %g %g %g %g %g", &user, &nice, &system, &idleTime, &iowait, &irq, &softirq)
	if err != nil {
		return 0, false
	}
	return (user + nice + system + irq + softirq) * clockTick, true
}
